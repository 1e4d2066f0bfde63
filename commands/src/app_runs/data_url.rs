//! Files inside JSON: `data:<mime>;name=<file name>;base64,<data>`, or bare base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;

/// A file.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its type, as the sender has it.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?}, {}, {} bytes)", self.name, self.media_type, self.bytes.len())
    }
}

/// Reads a file. Bare base64 gets `name`, and a type by its first bytes. `None` when it is neither.
pub fn read(text: &str, name: &str) -> Option<File> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("data:") else {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
        let media_type = if bytes.starts_with(b"%PDF") { "application/pdf" } else { "text/plain" };
        return Some(File { name: name.to_owned(), media_type: media_type.to_owned(), bytes });
    };
    let (head, data) = rest.rsplit_once(";base64,")?;
    let (media_type, named) = head.split_once(";name=")?;
    let plain = |c: char| c.is_alphanumeric() || "/-._".contains(c);
    if media_type.is_empty() || !media_type.chars().all(plain) || named.is_empty() {
        return None;
    }
    let bytes = STANDARD.decode(data).ok()?;
    Some(File { name: named.to_owned(), media_type: media_type.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_data_url_has_a_type_a_name_and_data() {
        let text = "data:text/plain;name=a;b=c.txt;base64,aGk=";
        let file = read(text, "").unwrap();
        assert_eq!(
            (&*file.name, &*file.media_type, &*file.bytes),
            ("a;b=c.txt", "text/plain", &b"hi"[..])
        );
        for wrong in [
            "data:text/plain;base64,aGk=",
            "data:;name=a;base64,aGk=",
            "data:a+b;name=a;base64,aGk=",
            "data:text/plain;name=a;base64,???",
            "data:text/plain;name=;base64,aGk=",
            "no base64!",
            "",
        ] {
            assert_eq!(read(wrong, "x"), None, "{wrong}");
        }
    }

    #[test]
    fn bare_base64_is_known_by_its_first_bytes() {
        assert_eq!(
            read("aGk=", "n").map(|file| (file.name, file.media_type)),
            Some(("n".to_owned(), "text/plain".to_owned()))
        );
        let pdf = STANDARD.encode("%PDF-1.7");
        assert_eq!(read(&pdf, "n").map(|file| file.media_type).as_deref(), Some("application/pdf"));
    }
}
