//! Workbooks: a sheet is a heading, its first row the heading of the others.

use super::{Extracted, Unreadable, csv, draft::Draft, package::Package, sniff::Workbook};
use calamine::{
    Data, Error, Ods, OdsError, Reader, Sheets, Xls, XlsError, Xlsb, XlsbError, Xlsx, XlsxError,
};
use std::io::Cursor;

const FORMAT: &str = "Excel";

type Book<'a> = Sheets<Cursor<&'a [u8]>>;

pub(super) fn extract(bytes: &[u8], kind: Workbook) -> Result<Extracted, Unreadable> {
    let mut book = open(bytes, kind)?;
    let mut draft = Draft::of(media_type(kind));
    for name in book.sheet_names() {
        let rows = rows(&mut book, &name)?;
        if !rows.is_empty() {
            draft.heading(1, &name);
            csv::table(&mut draft, 2, rows.into_iter());
        }
    }
    Ok(draft.finish())
}

/// The rows of all sheets, one after the other.
pub(super) fn all_rows(bytes: &[u8], kind: Workbook) -> Result<Vec<Vec<String>>, Unreadable> {
    let mut book = open(bytes, kind)?;
    let mut all = Vec::new();
    for name in book.sheet_names() {
        all.extend(rows(&mut book, &name)?);
    }
    Ok(all)
}

fn media_type(kind: Workbook) -> &'static str {
    match kind {
        Workbook::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Workbook::Xlsb => "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        Workbook::Xls => "application/vnd.ms-excel",
        Workbook::Ods => "application/vnd.oasis.opendocument.spreadsheet",
    }
}

fn open(bytes: &[u8], kind: Workbook) -> Result<Book<'_>, Unreadable> {
    if kind != Workbook::Xls {
        Package::open(bytes, FORMAT)?.check()?;
    }
    let bytes = Cursor::new(bytes);
    let opened = match kind {
        Workbook::Xlsx => Xlsx::new(bytes).map(Sheets::Xlsx).map_err(Error::Xlsx),
        Workbook::Xlsb => Xlsb::new(bytes).map(Sheets::Xlsb).map_err(Error::Xlsb),
        Workbook::Xls => Xls::new(bytes).map(Sheets::Xls).map_err(Error::Xls),
        Workbook::Ods => Ods::new(bytes).map(Sheets::Ods).map_err(Error::Ods),
    };
    opened.map_err(|error| failure(&error))
}

fn rows(book: &mut Book<'_>, sheet: &str) -> Result<Vec<Vec<String>>, Unreadable> {
    let range = book.worksheet_range(sheet).map_err(|error| failure(&error))?;
    Ok(range.rows().map(|row| row.iter().map(shown).collect()).collect())
}

/// A value as a person sees it.
fn shown(value: &Data) -> String {
    match value {
        Data::Empty | Data::Error(_) => String::new(),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        other => other.to_string(),
    }
}

fn failure(error: &Error) -> Unreadable {
    match error {
        Error::Xlsx(XlsxError::Password)
        | Error::Xlsb(XlsbError::Password)
        | Error::Xls(XlsError::Password)
        | Error::Ods(OdsError::Password) => Unreadable::Encrypted(FORMAT.into()),
        _ => Unreadable::Damaged(FORMAT.into()),
    }
}
