#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn utf16_bytes(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(write).collect()
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> Extracted {
    extract(name, "", bytes.as_ref()).unwrap()
}

fn questions(name: &str, bytes: &str) -> Result<Extracted, Unreadable> {
    let reading = Reading::Questions;
    extract_any(&Source { name, media_type: "", reading, bytes: bytes.as_bytes() })
}

#[test]
fn text_comes_out_whatever_unicode_it_is_written_in() {
    let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
    for text in ["Größe: 知识库 😀, and so on in English", "知识库支持上传文件，也支持检索。"]
    {
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xEF\xBB\xBF", text.as_bytes().to_vec()),
            marked(b"\xFF\xFE", utf16_bytes(text, u16::to_le_bytes)),
            marked(b"\xFE\xFF", utf16_bytes(text, u16::to_be_bytes)),
            utf16_bytes(text, u16::to_le_bytes),
            utf16_bytes(text, u16::to_be_bytes),
        ] {
            assert_eq!(read("a.txt", &bytes).text, text, "{bytes:?}");
        }
    }
}

#[test]
fn text_comes_out_of_the_encodings_of_countries() {
    let chinese = "知识库支持上传文件，也支持检索。";
    let (bytes, ..) = encoding_rs::GB18030.encode(chinese);
    assert_eq!(read("a.txt", &bytes).text, chinese);
    assert_eq!(read("a.txt", b"\xC4\xE3\xBA\xC3").text, "你好");
    let french = "Déjà vu: le café est fermé, la forêt est à côté.";
    let (bytes, ..) = encoding_rs::WINDOWS_1252.encode(french);
    assert_eq!(read("a.txt", &bytes).text, french);
    let page = "<!DOCTYPE html><meta charset=gbk><p>你好，世界</p>";
    let (bytes, ..) = encoding_rs::GBK.encode(page);
    assert_eq!(read("a.html", &bytes).text, "你好，世界");
}

#[test]
fn what_is_no_text_says_so() {
    let failed = |bytes: &[u8]| extract("a.txt", "text/plain", bytes).unwrap_err();
    assert_eq!(failed(b""), Unreadable::Empty);
    assert_eq!(failed(b" \n\t"), Unreadable::NoText);
    assert_eq!(failed(b"%PDF-1.7"), Unreadable::Unsupported("PDF".into()));
    assert_eq!(failed(b"\x89PNG\r\n"), Unreadable::Unsupported("PNG".into()));
    assert_eq!(failed(b"a\0b\0\0c"), Unreadable::NotText);
    assert_eq!(failed(b"\xFF\xFEa"), Unreadable::NotText);
    assert_eq!(failed(b"\xFF\xFE\x00\xD8"), Unreadable::NotText);
    assert_eq!(failed(b"\x01\x02\x03 ab"), Unreadable::NotText);
    for (name, format) in [("a.docx", "Word"), ("a.PDF", "PDF"), ("a.xlsx", "Excel")] {
        assert_eq!(extract(name, "", b"text"), Err(Unreadable::Damaged(format.into())));
    }
}

#[test]
fn markdown_has_an_outline_and_code_does_not() {
    let text = "# One\r\n\n```sh\n# not this\n```\n## Two ##\n#hashtag\n    # code\nThree\n---\n";
    let found = read("a.md", text);
    assert_eq!(found.media_type, "text/markdown");
    let titles: Vec<_> = found.outline.iter().map(|h| (h.level, h.title.as_str())).collect();
    assert_eq!(titles, [(1, "One"), (2, "Two"), (2, "Three")]);
    let two = &found.outline[1];
    assert_eq!(&found.text[two.start..two.end], "## Two ##");
    assert_eq!(&found.text[found.lines[0].clone()], "```sh\n# not this\n```\n");
}

#[test]
fn the_bytes_win_over_the_name() {
    let media_type = |name: &str, bytes: &str| read(name, bytes).media_type.into_owned();
    assert_eq!(media_type("a.txt", "\n<!DOCTYPE html><p>Hi"), "text/html");
    assert_eq!(media_type("a.xls", "<html><table><tr><td>Hi"), "text/html");
    assert_eq!(media_type("a.md", "a < b"), "text/markdown");
    assert_eq!(media_type("a", "{\"a\": 1}"), "application/json");
    assert_eq!(media_type("a", "{not json"), "text/plain");
    assert_eq!(media_type("a.rs", "fn main() {}"), "text/x-rust");
    assert_eq!(extract("a", "text/html; charset=utf-8", b"a &lt; b").unwrap().text, "a < b");
    let mail = "From: a@x\nTo: b@x\nSubject: Hi\n\nText";
    assert_eq!(extract("a.txt", "", mail.as_bytes()), Err(Unreadable::Unsupported("mail".into())));
}

#[test]
fn the_columns_of_a_table_stand_above_its_rows() {
    let found = read("a.csv", "name;price\n\"Tea; green\";3,5\n\nMilk;2\n");
    assert_eq!(found.text, "name | price\n\nTea; green | 3,5\nMilk | 2");
    assert_eq!(found.outline[0].title, "name | price");
    assert_eq!(&found.text[found.lines[0].clone()], "Tea; green | 3,5\nMilk | 2");
}

#[test]
fn json_is_one_value_to_a_line_with_letters_as_themselves() {
    let long = "x".repeat(500);
    let found = read("a.json", format!(r#"{{"a":["\u77e5\u8bc6","b\n",{{}}],"c":"{long}"}}"#));
    let expected = format!(
        "{{\n  \"a\": [\n    \"知识\",\n    \"b\\n\",\n    {{\n      \n    }}\n  ],\n  \"c\": \"{long}\"\n}}"
    );
    assert_eq!(found.text, expected);
    let written = "{\n \"a\": \"\\u77e5\"\n}\n";
    assert_eq!(read("a.json", written).text, "{\n \"a\": \"知\"\n}\n");
    assert_eq!(read("a.json", "{\"never closed").text, "{\"never closed");
}

#[test]
fn every_row_of_a_table_of_questions_is_a_passage() {
    let found = questions("a.csv", "id,answer,question\n1,Blue,What colour?\n2,,Empty\n").unwrap();
    assert_eq!(found.text, "Question: What colour?\nAnswer: Blue");
    assert_eq!(found.rows.first(), Some(&(0..found.text.len())));
    assert_eq!(found.rows.len(), 1);
    let untitled = questions("a.csv", "问一,答一\n问二,答二\n").unwrap();
    assert_eq!(untitled.rows.len(), 2);
    assert_eq!(&untitled.text[untitled.rows[1].clone()], "Question: 问二\nAnswer: 答二");
    for (name, table) in [("a.csv", "only one\n"), ("a.txt", "a,b\n")] {
        assert!(matches!(questions(name, table), Err(Unreadable::NoQuestions(_))), "{name}");
    }
    assert_eq!(questions("a.csv", "question,answer\n"), Err(Unreadable::NoText));
}

#[test]
fn what_is_kept_of_each_part_is_limited_to_so_many_parts() {
    let headings = "# a\n".repeat(PARTS + 5);
    let marked = read("a.md", &headings);
    assert_eq!((marked.outline.len(), marked.text.len()), (PARTS, headings.len()));
    let table = |rows: usize| format!("question,answer\n{}", "q,a\n".repeat(rows));
    assert_eq!(questions("a.csv", &table(PARTS)).unwrap().rows.len(), PARTS);
    assert_eq!(questions("a.csv", &table(PARTS + 1)), Err(Unreadable::TooManyRows));
}
