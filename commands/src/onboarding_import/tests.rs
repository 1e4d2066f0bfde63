//! Archives as people bring them along, and as attackers do.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::{Unusable, check, read};
use crate::effects::archive::Unpackable;
use domain::profile::{Field, Wish};
use std::io::{Cursor, Write};
use zip::{ZipWriter, write::SimpleFileOptions};

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_known_is_read_and_the_rest_is_left_alone() {
    let archive = packed(&[
        (
            "export/Persona.json",
            "\u{feff}{\"bio\":\"猫\",\"role\":\"admin\",\"tone\":7}".as_bytes(),
        ),
        (
            "export/fans.json",
            br#"{"fans":[{"platform":"x","id":"7"},{"platform":"x","aliases":7,"handle":3}]}"#,
        ),
        ("fans.csv", b"Platform,platform_fan_id,handle\nx,8,bob\nx,9\n"),
        ("memory/nodes.json", br#"{"nodes":[{"id":"n","name":"sea"},"no node"]}"#),
        ("photos/a.jpg", b"\xff\xd8"),
    ]);
    assert_eq!(check(&archive), Ok(()));
    let export = read(&archive).unwrap();
    assert_eq!(export.persona, [Wish::Text(Field::Bio, Some("猫".to_owned()))]);
    assert_eq!((export.fans.len(), export.files.len(), export.left_out.len()), (3, 4, 2));
    assert_eq!(export.nodes.len(), 1);
    let ids = export.fans.into_iter().map(|fan| fan.read().unwrap().accounts.remove(0));
    assert_eq!(ids.map(|account| account.platform_fan_id).collect::<Vec<_>>(), ["7", "8", "9"]);
}

#[test]
fn what_is_no_export_is_told_before_anything_is_inflated() {
    let fans = ("fans.json", &b"[]"[..]);
    for path in ["../fans.json", "/etc/passwd", "a\\b", "a/../../b"] {
        let refused = check(&packed(&[fans, (path, b"x")]));
        assert!(matches!(refused, Err(Unusable::Archive(Unpackable::Path(_)))), "{path}");
    }
    let whole = packed(&[fans]);
    for end in [0, 1, whole.len() / 2, whole.len() - 1] {
        assert_eq!(check(&whole[..end]), Err(Unpackable::NotZip.into()));
    }
    assert_eq!(check(&packed(&[("readme.txt", b"hi")])), Err(Unusable::Nothing));
    let zeros = vec![b' '; 8 << 20];
    assert_eq!(check(&packed(&[("fans.json", &zeros)])), Err(Unpackable::TooLarge.into()));
    let names: Vec<_> = (0..5_001).map(|n| format!("f{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(check(&packed(&many)), Err(Unpackable::TooManyEntries.into()));
    let mut linked = ZipWriter::new(Cursor::new(Vec::new()));
    linked.add_symlink("fans.json", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let linked = check(&linked.finish().unwrap().into_inner());
    assert_eq!(linked, Err(Unpackable::Special("fans.json".to_owned()).into()));
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_named() {
    for (name, bytes) in [
        ("fans.json", &b"{"[..]),
        ("persona.json", b"\xff"),
        ("fans.csv", b"platform\n\xff\n"),
        ("fans.json", &b"[".repeat(100_000)),
    ] {
        let refused = read(&packed(&[(name, bytes)]));
        assert!(matches!(refused, Err(Unusable::File(path, _)) if path == name), "{name}");
    }
}
