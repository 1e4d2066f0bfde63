//! Archives as people pack them, and as attackers do.

use super::*;
use crate::effects::archive::ENTRY;
use domain::skill::check_path;
use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

const TEXT: &str = "---\nname: pdf\ndescription: Reads PDFs\n---\n# PDF\n";

type Packed = Result<Vec<u8>, ZipError>;

fn packed(files: &[(&str, &[u8])]) -> Packed {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        match name.strip_suffix('/') {
            Some(_) => zip.add_directory(*name, options)?,
            None => {
                zip.start_file(*name, options)?;
                zip.write_all(bytes)?;
            }
        }
    }
    Ok(zip.finish()?.into_inner())
}

fn paths(archive: &[u8]) -> Result<Vec<String>, Unpackable> {
    Ok(unpack(archive)?.files.into_iter().map(|file| file.path).collect())
}

/// The same archive with one text in place of another of the same length.
fn forged(archive: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut forged = archive.to_vec();
    for at in 0..=forged.len() - from.len() {
        if &forged[at..at + from.len()] == from {
            forged[at..at + from.len()].copy_from_slice(to);
        }
    }
    forged
}

#[test]
fn a_skill_is_found_at_the_root_or_in_a_folder() -> Result<(), ZipError> {
    let text = TEXT.as_bytes();
    let root = packed(&[("a/SKILL.md", b"no"), ("SKILL.md", text), ("x/y.txt", b"y")])?;
    assert_eq!(paths(&root), Ok(["a/SKILL.md", "SKILL.md", "x/y.txt"].map(str::to_owned).into()));
    let folder = packed(&[
        ("readme.txt", b"outside"),
        ("pdf/", b""),
        ("pdf/SKILL.md", text),
        ("pdf/说明/é 😀.md", b"in"),
        ("pdf/.DS_Store", b"junk"),
        ("__MACOSX/pdf/._SKILL.md", b"junk"),
        ("zzz/SKILL.md", b"second"),
    ])?;
    assert_eq!(paths(&folder), Ok(["SKILL.md", "说明/é 😀.md"].map(str::to_owned).into()));
    let unpacked = unpack(&folder).map(|all| (all.front.name, all.files[0].mode));
    assert_eq!(unpacked, Ok(("pdf".to_owned(), Some(0o755))));
    for names in [&["a/b/SKILL.md"][..], &["skill.md"], &["aSKILL.md"], &["x.txt"], &[]] {
        let files: Vec<_> = names.iter().map(|name| (*name, text)).collect();
        assert_eq!(unpack(&packed(&files)?), Err(Unpackable::NoMain), "{names:?}");
    }
    Ok(())
}

#[test]
fn names_that_lead_elsewhere_are_refused_wherever_they_are() -> Result<(), ZipError> {
    for name in
        ["../a", "/etc/a", "a/../../b", "C:/a", "a\\b", "..\\a", "./a", "a//b", "a\nb", "../"]
    {
        let archive = packed(&[("pdf/SKILL.md", TEXT.as_bytes()), (name, b"x")])?;
        let refused = unpack(&archive);
        assert!(matches!(refused, Err(Unpackable::Unsafe(Flaw::Path(_)))), "{name}: {refused:?}");
    }
    let honest = packed(&[("SKILL.md", TEXT.as_bytes()), ("a/bcd", b"x"), ("a/bce", b"x")])?;
    let twice = unpack(&forged(&honest, b"a/bce", b"a/bcd"));
    assert!(matches!(twice, Err(Unpackable::Unsafe(Flaw::Twice(_)))), "{twice:?}");
    let latin = unpack(&forged(&honest, b"a/bce", b"a/b\xE9e"));
    assert_eq!(latin, Err(Unpackable::Name));
    Ok(())
}

#[test]
fn links_and_encrypted_files_are_refused() -> Result<(), ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(packed(&[("SKILL.md", TEXT.as_bytes())])?));
    zip = ZipWriter::new_append(Cursor::new(zip.finish()?.into_inner()))?;
    zip.add_symlink("passwd", "/etc/passwd", SimpleFileOptions::default())?;
    let linked = unpack(&zip.finish()?.into_inner());
    assert_eq!(linked, Err(Unpackable::Special("passwd".to_owned())));

    let mut locked = packed(&[("SKILL.md", TEXT.as_bytes())])?;
    // The flags of the entry, in its own header and in the directory.
    locked[6] |= 1;
    let directory = locked.windows(4).position(|window| window == ENTRY).unwrap_or_default();
    locked[directory + 8] |= 1;
    assert_eq!(unpack(&locked), Err(Unpackable::Encrypted("SKILL.md".to_owned())));
    Ok(())
}

#[test]
fn bombs_do_not_go_off() -> Result<(), ZipError> {
    let zeros = vec![0; 8 << 20];
    let bomb = packed(&[("SKILL.md", TEXT.as_bytes()), ("zeros", &zeros)])?;
    assert!(bomb.len() < 20_000);
    assert_eq!(unpack(&bomb), Err(Unpackable::TooLarge));
    // The same that claims to be small, in both places where an archive says so.
    let (size, claim) = ((8_u32 << 20).to_le_bytes(), 16_u32.to_le_bytes());
    let liar = unpack(&forged(&bomb, &size, &claim));
    assert!(matches!(liar, Err(Unpackable::TooLarge | Unpackable::Damaged(_))), "{liar:?}");

    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("SKILL.md", stored)?;
    zip.write_all(TEXT.as_bytes())?;
    zip.start_file("big", stored)?;
    zip.write_all(&vec![1; usize::try_from(FILE).unwrap_or_default() + 1])?;
    assert_eq!(unpack(&zip.finish()?.into_inner()), Err(Unpackable::TooLarge));

    let long = TEXT.to_owned() + &"word ".repeat(2 << 20);
    let long = unpack(&packed(&[("SKILL.md", long.as_bytes())])?);
    assert!(matches!(long, Err(Unpackable::MainTooLarge)), "10 MB were taken");
    Ok(())
}

#[test]
fn too_many_entries_are_too_many() -> Result<(), ZipError> {
    let names: Vec<_> = (0..=ENTRIES).map(|n| format!("f{n}")).collect();
    let files = |n: usize| -> Vec<(&str, &[u8])> {
        let main = [("SKILL.md", TEXT.as_bytes())];
        main.into_iter().chain(names[..n].iter().map(|name| (&**name, &b""[..]))).collect()
    };
    assert_eq!(unpack(&packed(&files(ENTRIES))?), Err(Unpackable::TooManyEntries));
    let refused = unpack(&packed(&files(MOST_FILES))?);
    assert_eq!(refused, Err(Unpackable::Unsafe(Flaw::TooManyFiles)));
    assert!(unpack(&packed(&files(MOST_FILES - 1))?).is_ok());
    Ok(())
}

#[test]
fn whatever_the_bytes_are_nothing_breaks() -> Result<(), ZipError> {
    let whole = packed(&[("pdf/SKILL.md", TEXT.as_bytes()), ("pdf/a.txt", b"aaaaaaaaaaaaaaaa")])?;
    for length in 0..whole.len() {
        assert!(unpack(&whole[..length]).is_err(), "{length} bytes were enough");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            // Some bits say nothing that matters; no bit may lead outside.
            for file in unpack(&flipped).map(|all| all.files).unwrap_or_default() {
                assert_eq!(check_path(&file.path), Ok(()));
            }
        }
    }
    for bytes in [&b""[..], b"PK", b"PK\x05\x06", &[0; 1000], b"\x7fELF", b"---\nname: a"] {
        assert_eq!(unpack(bytes), Err(Unpackable::NotZip));
    }
    Ok(())
}

#[test]
fn the_text_has_to_be_one() -> Result<(), ZipError> {
    let latin = packed(&[("SKILL.md", b"---\nname: \xE9\ndescription: b\n---\n")])?;
    assert_eq!(unpack(&latin), Err(Unpackable::NotText));
    let plain = packed(&[("SKILL.md", b"# PDF")])?;
    assert_eq!(unpack(&plain), Err(Unpackable::Front(NoFrontMatter::Missing)));
    let dos =
        packed(&[("SKILL.md", "\u{feff}---\r\nname: a\r\ndescription: b\r\n---\r\n".as_bytes())])?;
    assert_eq!(unpack(&dos).map(|all| all.front.description), Ok("b".to_owned()));
    Ok(())
}
