//! PowerPoint: a slide is a page, its title a heading, its notes follow it.

use super::{
    Extracted, Unreadable,
    draft::Draft,
    package::Package,
    xml::{self, Piece},
};
use std::collections::HashMap;

const FORMAT: &str = "PowerPoint";
const MEDIA_TYPE: &str =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";
/// Slides that are read.
const SLIDES: usize = 5_000;

pub(super) fn extract(bytes: &[u8]) -> Result<Extracted, Unreadable> {
    let mut package = Package::open(bytes, FORMAT)?;
    let mut draft = Draft::of(MEDIA_TYPE);
    for slide in slides(&mut package)?.into_iter().take(SLIDES) {
        draft.page();
        let Some(xml) = package.text(&slide)? else { continue };
        read(&xml, &mut draft, true)?;
        let notes = relations(&mut package, &slide)?;
        for notes in notes.into_values().filter(|target| target.contains("notesSlides/")) {
            if let Some(xml) = package.text(&notes)? {
                read(&xml, &mut draft, false)?;
            }
        }
    }
    Ok(draft.finish())
}

/// The slides in the order they are shown.
fn slides(package: &mut Package<'_>) -> Result<Vec<String>, Unreadable> {
    const MAIN: &str = "ppt/presentation.xml";
    let mut targets = relations(package, MAIN)?;
    let mut shown = Vec::new();
    xml::read(&package.needed(MAIN)?, FORMAT, |piece| {
        if let Piece::Open(tag) = piece
            && tag.name() == "sldId"
        {
            shown.extend(tag.related().and_then(|id| targets.remove(&id)));
        }
    })?;
    if shown.is_empty() {
        shown = package.names("ppt/slides/slide", ".xml");
        shown.sort_by_key(|name| (name.len(), name.clone()));
    }
    Ok(shown)
}

/// What a part refers to: names of parts by their ids.
fn relations(package: &mut Package<'_>, part: &str) -> Result<HashMap<String, String>, Unreadable> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let mut relations = HashMap::new();
    if let Some(xml) = package.text(&format!("{folder}/_rels/{file}.rels"))? {
        xml::read(&xml, FORMAT, |piece| {
            if let Piece::Open(tag) = piece
                && let (Some(id), Some(target)) = (tag.get("Id"), tag.get("Target"))
            {
                relations.insert(id, resolved(folder, &target));
            }
        })?;
    }
    Ok(relations)
}

/// A target as seen from a folder.
fn resolved(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').collect();
    for part in target.split('/') {
        match part {
            ".." => {
                path.pop();
            }
            "." => {}
            part => path.push(part),
        }
    }
    path.join("/")
}

/// The text of a slide, or of its notes.
fn read(xml: &str, draft: &mut Draft, titled: bool) -> Result<(), Unreadable> {
    let (mut paragraph, mut title, mut shape, mut in_text) =
        (String::new(), String::new(), String::new(), false);
    let (mut row, mut cells): (Option<Vec<String>>, Option<usize>) = (None, None);
    xml::read(xml, FORMAT, |piece| match piece {
        Piece::Open(tag) => match tag.name() {
            "sp" => shape.clear(),
            "ph" => shape = tag.get("type").unwrap_or_default(),
            "t" => in_text = true,
            "br" | "tab" => paragraph.push(' '),
            "tbl" => cells = Some(draft.len()),
            "tr" => row = Some(Vec::new()),
            "tc" => row.iter_mut().for_each(|row| row.push(String::new())),
            _ => {}
        },
        Piece::Text(text) if in_text => paragraph.push_str(text),
        Piece::Text(_) => {}
        Piece::Close(name) => match name {
            "t" => in_text = false,
            "p" => {
                let text = std::mem::take(&mut paragraph);
                if let Some(cell) = row.as_mut().and_then(|row| row.last_mut()) {
                    cell.push_str(&text);
                } else if titled && matches!(shape.as_str(), "title" | "ctrTitle") {
                    title.push(' ');
                    title.push_str(&text);
                } else if !matches!(shape.as_str(), "sldNum" | "dt" | "ftr") {
                    draft.line(&text);
                }
            }
            "tr" => {
                let cells = row.take().unwrap_or_default();
                draft.line(&cells.join(" | "));
            }
            "tbl" => cells.take().into_iter().for_each(|start| draft.rows_since(start)),
            "sp" if !title.trim().is_empty() => {
                draft.heading(1, &std::mem::take(&mut title));
                draft.separate();
            }
            "sp" => draft.separate(),
            _ => {}
        },
    })
}
