//! The XML of Office files, one piece after the other.

use super::{Unreadable, entities};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// Deepest nesting; more is nobody's text.
const DEEPEST: usize = 10_000;

/// A piece of a part. Names are without their prefix.
pub(super) enum Piece<'a> {
    /// An element begins.
    Open(&'a Tag<'a>),
    /// The element of this name ends.
    Close(&'a str),
    /// Text.
    Text(&'a str),
}

/// The beginning of an element.
pub(super) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The id of what it refers to: an attribute `id` with a prefix, beside one that may have none.
    pub fn related(&self) -> Option<String> {
        self.find(|name| name.ends_with(":id"))
    }

    /// The value of the attribute of this name, whatever its prefix.
    pub fn get(&self, name: &str) -> Option<String> {
        self.find(|full| full.rsplit(':').next() == Some(name))
    }

    fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|a| wanted(a.key.as_ref()))?;
        Some(entities::decode(&found.value).into_owned())
    }
}

/// Calls `each` for every piece, in order. An empty element opens and closes.
pub(super) fn read(
    xml: &str,
    format: &'static str,
    mut each: impl FnMut(Piece<'_>),
) -> Result<(), Unreadable> {
    let damaged = || Unreadable::Damaged(format.into());
    let mut reader = Reader::from_str(xml);
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|_| damaged())? {
            Event::Start(tag) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(damaged());
                }
                each(Piece::Open(&Tag(tag)));
            }
            Event::Empty(tag) => {
                let tag = Tag(tag);
                each(Piece::Open(&tag));
                each(Piece::Close(tag.name()));
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                each(Piece::Close(tag.local_name().into_inner()));
            }
            Event::Text(text) => each(Piece::Text(&text.xml10_content())),
            Event::CData(text) => each(Piece::Text(&text.xml10_content())),
            Event::GeneralRef(name) => {
                let decoded = entities::decode(&format!("&{};", &*name)).into_owned();
                each(Piece::Text(&decoded));
            }
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof => return Err(damaged()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}
