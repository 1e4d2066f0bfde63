//! Mails: what a person sees of them, and the text of what is attached.

use super::{DEPTH, Extracted, Reading, Source, Unreadable, draft::Draft, html, within};
use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

const FORMAT: &str = "mail";
/// Attachments that are read.
const ATTACHMENTS: usize = 100;

pub(super) fn extract(bytes: &[u8], depth: u32) -> Result<Extracted, Unreadable> {
    let mail = MessageParser::default().parse(bytes);
    let mail = mail.ok_or(Unreadable::Damaged(FORMAT.into()))?;
    let mut draft = Draft::of("message/rfc822");
    draft.heading(1, mail.subject().unwrap_or_default());
    let people = [("From", mail.from()), ("To", mail.to()), ("Cc", mail.cc())];
    for (name, people) in people {
        let people = people.map(shown).unwrap_or_default();
        if !people.is_empty() {
            draft.line(&format!("{name}: {people}"));
        }
    }
    if let Some(date) = mail.date() {
        draft.line(&format!("Date: {}", date.to_rfc3339()));
    }
    draft.separate();
    for part in mail.text_bodies() {
        match &part.body {
            PartType::Text(text) => drop(draft.line(text)),
            PartType::Html(page) => drop(draft.line(&html::extract(page).text)),
            _ => {}
        }
    }
    for part in mail.attachments().take(ATTACHMENTS) {
        let name = part.attachment_name().unwrap_or_default();
        let media_type = part
            .content_type()
            .map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()));
        let bytes = match &part.body {
            PartType::Message(inner) => inner.raw_message(),
            _ => part.contents(),
        };
        let media_type = media_type.unwrap_or_default();
        let source = Source { name, media_type: &media_type, reading: Reading::Text, bytes };
        // What cannot be read is at least named: the mail itself is what was uploaded.
        match (depth < DEPTH).then(|| within(&source, depth + 1)) {
            Some(Ok(inner)) => draft.append(name, &inner),
            Some(Err(Unreadable::Bomb)) => return Err(Unreadable::Bomb),
            Some(Err(_)) | None => drop(draft.paragraph(name)),
        }
    }
    Ok(draft.finish())
}

fn shown(people: &Address<'_>) -> String {
    let person = |person: &mail_parser::Addr<'_>| match (person.name(), person.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (one, other) => one.or(other).unwrap_or_default().to_owned(),
    };
    people.iter().map(person).collect::<Vec<_>>().join(", ")
}
