//! Files of foreign formats, read as the server reads them: by annals in a process of its own.

use annals_tests::{
    files::{self, Part},
    process::{Folder, binary},
};
use commands::effects::extract::{
    Extracted, Reading, Unreadable,
    reader::{Error, File, Reader},
};
use std::time::Duration;

async fn read_as(reading: Reading, name: &str, bytes: Vec<u8>) -> Result<Extracted, Unreadable> {
    let program = binary().await.unwrap();
    let reader = Reader::new(Some(program), Duration::from_secs(20));
    let (name, media_type) = (name.to_owned(), String::new());
    let file = File { name, media_type, reading, bytes: bytes.into() };
    reader.read(file).await.map_err(|error| match error {
        Error::Unreadable(unreadable) => unreadable,
        Error::Away(why) => panic!("{why}"),
    })
}

async fn read(name: &str, bytes: Vec<u8>) -> Result<Extracted, Unreadable> {
    read_as(Reading::Text, name, bytes).await
}

fn titles(read: &Extracted) -> Vec<(u8, &str)> {
    read.outline.iter().map(|heading| (heading.level, heading.title.as_str())).collect()
}

#[tokio::test]
async fn a_word_document_keeps_its_headings_and_rows() {
    let bytes = files::docx(&[
        Part::Heading(1, "Tea & milk"),
        Part::Text("Ceylon grows <tea>."),
        Part::Heading(2, "价格"),
        Part::Row(&["Tea", "3.50"]),
        Part::Text("知识库"),
    ]);
    // Its name does not matter.
    let found = read("a.bin", bytes).await.unwrap();
    assert_eq!(found.text, "Tea & milk\n\nCeylon grows <tea>.\n\n价格\n\nTea | 3.50\n\n知识库");
    assert_eq!(titles(&found), [(1, "Tea & milk"), (2, "价格")]);
    assert_eq!(&found.text[found.lines[0].clone()], "Tea | 3.50");
}

#[tokio::test]
async fn slides_are_pages() {
    let bytes = files::pptx(&[("Intro", "Welcome all"), ("Tea", "Ceylon")]);
    let found = read("a.pptx", bytes).await.unwrap();
    assert_eq!(found.text, "Intro\n\nWelcome all\n\nTea\n\nCeylon");
    assert_eq!(found.pages, [0, found.text.find("Tea").unwrap()]);
    assert_eq!(titles(&found), [(1, "Intro"), (1, "Tea")]);
}

#[tokio::test]
async fn sheets_are_tables() {
    let bytes = files::xlsx("Prices", &[&["name", "price"], &["Tea", "3.5"], &["Milk", "2"]]);
    let found = read("a.xlsx", bytes.clone()).await.unwrap();
    assert_eq!(found.text, "Prices\n\nname | price\n\nTea | 3.5\nMilk | 2");
    assert_eq!(titles(&found), [(1, "Prices"), (2, "name | price")]);

    let asked = files::xlsx("Q", &[&["question", "answer"], &["Why?", "Because."]]);
    let found = read_as(Reading::Questions, "a.xlsx", asked).await.unwrap();
    assert_eq!(found.text, "Question: Why?\nAnswer: Because.");
    assert_eq!(found.rows.len(), 1);
}

#[tokio::test]
async fn a_pdf_has_pages_headings_and_whole_paragraphs() {
    let bytes = files::pdf(&[
        (
            "Tea",
            &[
                "Ceylon grows tea on its hills, and has done so for a hun-",
                "dred years. (Or more.)",
            ],
        ),
        ("Milk", &["Cows give milk."]),
    ]);
    let found = read("a.pdf", bytes).await.unwrap();
    let expected = "Tea\n\nCeylon grows tea on its hills, and has done so for a hundred years. (Or more.)\n\nMilk\n\nCows give milk.";
    assert_eq!(found.text, expected);
    assert_eq!(titles(&found), [(1, "Tea"), (1, "Milk")]);
    assert_eq!(found.pages, [0, found.text.find("Milk").unwrap()]);
}

#[tokio::test]
async fn a_mail_is_its_headers_its_text_and_what_is_attached() {
    let found = read("a.eml", files::eml("Tea prices", "Dear Bob,\r\ntea is up.")).await.unwrap();
    assert!(
        found.text.starts_with("Tea prices\nFrom: Ann <ann@example.org>\nTo: Bob"),
        "{found:?}"
    );
    assert!(found.text.ends_with("Dear Bob,\ntea is up."), "{found:?}");

    let mail = "From: a@x.org\nTo: b@x.org\nSubject: =?utf-8?B?55+l6K+G?=\nMIME-Version: 1.0\n\
        Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>Hi &amp; bye\n\
        --b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=\"p.csv\"\n\nname,price\nTea,3\n--b--\n";
    let found = read("mail", mail.into()).await.unwrap();
    assert!(found.text.starts_with("知识\n"), "{found:?}");
    assert!(found.text.contains("Hi & bye\n\np.csv\n\nname | price\n\nTea | 3"), "{found:?}");
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let docx = files::docx(&[Part::Text("text")]);
    let half = docx[..docx.len() / 2].to_vec();
    let damaged = |format: &'static str| Unreadable::Damaged(format.into());
    let picture = files::pdf(&[("", &[])]);
    let ole: Vec<u8> = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]
        .into_iter()
        .chain("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (name, bytes, expected) in [
        ("a.docx", half, damaged("Word")),
        ("a.pdf", b"%PDF-1.4 and then nothing of it".to_vec(), damaged("PDF")),
        ("a.pdf", picture, Unreadable::Scanned),
        ("a.pdf", files::encrypted_pdf(), Unreadable::Encrypted("PDF".into())),
        ("a.docx", ole, Unreadable::Encrypted("Office".into())),
        ("a.docx", files::docx(&[]), Unreadable::NoText),
        ("a.zip", files::zip(&[("a.txt", b"text")]), Unreadable::Unsupported("ZIP".into())),
        (
            "a.docx",
            files::zip(&[("word/document.xml", b"<w:p><w:t>never closed")]),
            damaged("Word"),
        ),
    ] {
        assert_eq!(read(name, bytes).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn a_bomb_hurts_nobody() {
    let zeros = vec![b' '; 300 << 20];
    let bomb = files::zip(&[("word/document.xml", &zeros)]);
    assert_eq!(read("bomb.docx", bomb).await, Err(Unreadable::Bomb));
    // A sheet of two cells, far apart: a table of all between them has no room.
    let far = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>\
        <row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row></sheetData></worksheet>";
    let sheet = files::xlsx("S", &[&["1"]]);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(sheet)).unwrap();
    let mut entries = Vec::new();
    for n in 0..zip.len() {
        let mut entry = zip.by_index(n).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let bytes = if name.ends_with("sheet1.xml") { far.into() } else { bytes };
        entries.push((name, bytes));
    }
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(n, b)| (n.as_str(), &b[..])).collect();
    let read = read("far.xlsx", files::zip(&entries)).await;
    assert_eq!(read, Err(Unreadable::TooMuchMemory));
}

/// What becomes of a document whose reader does this instead of its work.
async fn verdict(script: &str) -> Result<Extracted, Unreadable> {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("reader");
    std::fs::create_dir_all(folder.path()).unwrap();
    let program = folder.path().join("program");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let reader = Reader::new(Some(program), Duration::from_secs(2));
    // More than a pipe holds: nobody reads it.
    let bytes = [b"%PDF-1.4".to_vec(), vec![b' '; 1 << 20]].concat().into();
    let (name, media_type) = ("a.pdf".to_owned(), String::new());
    let read = reader.read(File { name, media_type, reading: Reading::Text, bytes }).await;
    read.map_err(|error| match error {
        Error::Unreadable(unreadable) => unreadable,
        Error::Away(why) => panic!("{why}"),
    })
}

#[tokio::test]
async fn a_parser_that_loops_or_eats_or_crashes_is_its_documents_failure() {
    assert_eq!(verdict("while :; do :; done").await, Err(Unreadable::TooSlow));
    assert_eq!(verdict("kill -XCPU $$").await, Err(Unreadable::TooSlow));
    assert_eq!(verdict("kill -ABRT $$").await, Err(Unreadable::TooMuchMemory));
    let damaged = Err(Unreadable::Damaged("uploaded".into()));
    assert_eq!(verdict("kill -SEGV $$").await, damaged);
    assert_eq!(verdict("echo nonsense").await, damaged);
}
