//! Files of many formats, made from their texts byte by byte, the same every time.

use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
};
use zip::{ZipWriter, write::SimpleFileOptions};

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const SLIDE: &str = "http://schemas.openxmlformats.org/presentationml/2006/main";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const RELATION: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// A part of a text document.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// A heading, 1 the outermost.
    Heading(u8, &'a str),
    /// A paragraph.
    Text(&'a str),
    /// A row of a table of its own.
    Row(&'a [&'a str]),
}

/// A ZIP archive of these entries.
///
/// # Panics
/// Never: nothing here can be too large for memory.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a name");
        zip.write_all(bytes).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// A Word document.
pub fn docx(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = String::new();
    for part in parts {
        body += &match part {
            Part::Heading(level, text) => format!(
                "<w:p><w:pPr><w:pStyle w:val=\"H{level}\"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>",
                escaped(text)
            ),
            Part::Text(text) => paragraph(text),
            Part::Row(cells) => {
                let cells = cells.iter().map(|cell| format!("<w:tc>{}</w:tc>", paragraph(cell)));
                format!("<w:tbl><w:tr>{}</w:tr></w:tbl>", cells.collect::<String>())
            }
        };
    }
    let document =
        format!("{XML}<w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>");
    let style = |level: u8| {
        format!(
            "<w:style w:type=\"paragraph\" w:styleId=\"H{level}\"><w:name w:val=\"heading {level}\"/></w:style>"
        )
    };
    let styles: String = (1..=3).map(style).collect();
    let styles = format!("{XML}<w:styles xmlns:w=\"{WORD}\">{styles}</w:styles>");
    zip(&[
        ("[Content_Types].xml", format!("{XML}<Types/>").as_bytes()),
        ("word/document.xml", document.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
    ])
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", escaped(text))
}

/// A presentation: a title and a text for each slide.
pub fn pptx(slides: &[(&str, &str)]) -> Vec<u8> {
    let (mut ids, mut relations) = (String::new(), String::new());
    let mut parts = Vec::new();
    for (n, (title, text)) in slides.iter().enumerate() {
        let _ = write!(ids, "<p:sldId id=\"{}\" r:id=\"rId{n}\"/>", 256 + n);
        let _ = write!(relations, "<Relationship Id=\"rId{n}\" Target=\"slides/slide{n}.xml\"/>");
        let shape = |kind: &str, text: &str| {
            let (kind, text) = (escaped(kind), escaped(text));
            format!(
                "<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"
            )
        };
        let shapes = shape("title", title) + &shape("body", text);
        let slide = format!(
            "{XML}<p:sld xmlns:p=\"{SLIDE}\" xmlns:a=\"{DRAWING}\"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        );
        parts.push((format!("ppt/slides/slide{n}.xml"), slide));
    }
    let main = format!(
        "{XML}<p:presentation xmlns:p=\"{SLIDE}\" xmlns:r=\"{RELATION}\"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    );
    let relations = format!("{XML}<Relationships xmlns=\"{PACKAGE}\">{relations}</Relationships>");
    parts.push(("ppt/presentation.xml".to_owned(), main));
    parts.push(("ppt/_rels/presentation.xml.rels".to_owned(), relations));
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(n, x)| (n.as_str(), x.as_bytes())).collect();
    zip(&parts)
}

/// A workbook of one sheet.
pub fn xlsx(name: &str, rows: &[&[&str]]) -> Vec<u8> {
    let mut data = String::new();
    for (row, cells) in rows.iter().enumerate() {
        let _ = write!(data, "<row r=\"{}\">", row + 1);
        for (cell, column) in cells.iter().zip('A'..='Z') {
            let place = format!("{column}{}", row + 1);
            match cell.parse::<f64>() {
                Ok(number) => drop(write!(data, "<c r=\"{place}\"><v>{number}</v></c>")),
                Err(_) => drop(write!(
                    data,
                    "<c r=\"{place}\" t=\"inlineStr\"><is><t>{}</t></is></c>",
                    escaped(cell)
                )),
            }
        }
        data.push_str("</row>");
    }
    let sheet =
        format!("{XML}<worksheet xmlns=\"{SHEET}\"><sheetData>{data}</sheetData></worksheet>");
    let book = format!(
        "{XML}<workbook xmlns=\"{SHEET}\" xmlns:r=\"{RELATION}\"><sheets><sheet name=\"{}\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
        escaped(name)
    );
    let relations = format!(
        "{XML}<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{RELATION}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
    );
    let package = format!(
        "{XML}<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{RELATION}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    zip(&[
        ("[Content_Types].xml", format!("{XML}<Types/>").as_bytes()),
        ("_rels/.rels", package.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// A PDF: a heading and lines of ASCII for each page.
pub fn pdf(pages: &[(&str, &[&str])]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 4 + 2 * n)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    for (n, (heading, lines)) in pages.iter().enumerate() {
        let mut content = format!("BT /F1 20 Tf 72 720 Td ({}) Tj ET\n", quoted(heading));
        for (row, line) in lines.iter().enumerate() {
            let _ =
                writeln!(content, "BT /F1 11 Tf 72 {} Td ({}) Tj ET", 680 - 14 * row, quoted(line));
        }
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * n
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    pdf_of(&objects, "")
}

/// A PDF of these objects, the first of them its catalogue; `trailer` is put into its trailer.
pub fn pdf_of(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut file = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        places.push(file.len());
        let _ = write!(file, "{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let (start, size) = (file.len(), objects.len() + 1);
    let _ = write!(file, "xref\n0 {size}\n0000000000 65535 f \n");
    for place in places {
        let _ = writeln!(file, "{place:010} 00000 n ");
    }
    let _ = write!(
        file,
        "trailer\n<< /Size {size} /Root 1 0 R {trailer}>>\nstartxref\n{start}\n%%EOF\n"
    );
    file.into_bytes()
}

/// A PDF that opens with a password only.
pub fn encrypted_pdf() -> Vec<u8> {
    let key = "00".repeat(32);
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [] /Count 0 >>".to_owned(),
        format!("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{key}> /U <{key}> >>"),
    ];
    let id = "11".repeat(16);
    pdf_of(&objects, &format!("/Encrypt 3 0 R /ID [<{id}> <{id}>] "))
}

/// A mail of plain text.
pub fn eml(subject: &str, text: &str) -> Vec<u8> {
    let head = "From: Ann <ann@example.org>\r\nTo: Bob <bob@example.org>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n";
    let kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    format!("{head}Subject: {subject}\r\n{kind}\r\n{text}\r\n").into_bytes()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
}
