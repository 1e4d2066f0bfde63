//! A file that somebody uploaded to be linked to. Its id cannot be guessed: whoever has the link may read the file.

use crate::{
    Decider, Kind,
    document::BlobHash,
    ids::{UploadId, UserId},
};
use serde::{Deserialize, Serialize};

/// Longest key, in bytes.
pub const MAX_KEY: usize = 2_048;
/// Longest media type, in bytes.
pub const MAX_MEDIA_TYPE: usize = 127;

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A file was uploaded; its bytes are in the blob store.
    FileUploaded {
        /// Whose it is.
        owner: UserId,
        /// What the owner calls it, as a path: `uploads/images/cat.png`.
        key: String,
        /// Its bytes.
        blob: BlobHash,
        /// How many.
        size: u64,
        /// What it is, without parameters, in lower case: `image/png`.
        media_type: String,
    },
    /// Its owner needs it no more; the link leads nowhere from now on.
    FileRemoved {},
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Keep a file. The fields are those of [`Event::FileUploaded`].
    Keep {
        /// Whose it is.
        owner: UserId,
        /// What to call it.
        key: String,
        /// Its bytes.
        blob: BlobHash,
        /// How many.
        size: u64,
        /// What it is.
        media_type: String,
    },
    /// Let the link lead nowhere.
    Remove,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The id is in use.
    #[error("the upload exists already")]
    Exists,
    /// Not a path of ordinary names, or longer than [`MAX_KEY`].
    #[error("a file's path has at most {MAX_KEY} bytes and neither . nor .. in it")]
    BadKey,
    /// Not `type/subtype`.
    #[error("not a media type")]
    BadMediaType,
    /// Not the name of a stored file.
    #[error("not the name of a stored file")]
    BadBlob,
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists => Kind::Conflict,
            Self::BadKey | Self::BadMediaType | Self::BadBlob => Kind::Invalid,
        }
    }
}

/// An upload as its history leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Upload {
    /// Never uploaded.
    #[default]
    Absent,
    /// There.
    Kept {
        /// Whose it is.
        owner: UserId,
        /// Its bytes.
        blob: BlobHash,
    },
    /// Not any more.
    Removed,
}

impl Decider for Upload {
    const CATEGORY: &'static str = "upload";
    type Id = UploadId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let Command::Keep { owner, key, blob, size, media_type } = command else {
            let kept = matches!(self, Self::Kept { .. });
            return Ok(kept.then_some(Event::FileRemoved {}).into_iter().collect());
        };
        if *self != Self::Absent {
            return Err(Refusal::Exists);
        }
        if !is_key(key) {
            return Err(Refusal::BadKey);
        }
        if !is_media_type(media_type) {
            return Err(Refusal::BadMediaType);
        }
        if !blob.is_valid() {
            return Err(Refusal::BadBlob);
        }
        Ok(vec![Event::FileUploaded {
            owner: owner.clone(),
            key: key.clone(),
            blob: blob.clone(),
            size: *size,
            media_type: media_type.clone(),
        }])
    }

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::FileUploaded { owner, blob, .. } => {
                Self::Kept { owner: owner.clone(), blob: blob.clone() }
            }
            Event::FileRemoved {} => Self::Removed,
        }
    }
}

/// The key of a file of this name. Without a path it is `{stamp}_{name}`; a path whose last part has an extension is the
/// key as it stands, any other path is a folder for the file. Slashes at both ends and double ones count once or not.
///
/// # Errors
/// [`Refusal::BadKey`] when it would not be one.
pub fn key(path: &str, name: &str, stamp: &str) -> Result<String, Refusal> {
    let parts: Vec<&str> = path.trim().split('/').filter(|part| !part.is_empty()).collect();
    let key = match parts.last() {
        None => format!("{stamp}_{name}"),
        Some(last) if has_extension(last) && !path.trim().ends_with('/') => parts.join("/"),
        Some(_) => format!("{}/{name}", parts.join("/")),
    };
    if is_key(&key) { Ok(key) } else { Err(Refusal::BadKey) }
}

/// Whether a character only changes how others look: with these a name shows another ending than it has.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn has_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty())
}

fn is_key(key: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    key.len() <= MAX_KEY
        && key.split('/').all(plain)
        && !key.contains(|c| is_deceptive(c) || c == '\\')
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b);
        !part.is_empty() && part.bytes().all(allowed)
    };
    text.len() <= MAX_MEDIA_TYPE
        && text.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn keep(key: &str, media_type: &str) -> Command {
        let (owner, blob) = ("ann".into(), BlobHash("ab".repeat(32)));
        Command::Keep { owner, key: key.into(), blob, size: 3, media_type: media_type.into() }
    }

    fn uploaded() -> Event {
        Event::FileUploaded {
            owner: "ann".into(),
            key: "a/b.png".into(),
            blob: BlobHash("ab".repeat(32)),
            size: 3,
            media_type: "image/png".into(),
        }
    }

    #[test]
    fn an_id_is_used_once() {
        given::<Upload>([]).when(keep("a/b.png", "image/png")).then([uploaded()]);
        given::<Upload>([uploaded()])
            .when(keep("a/b.png", "image/png"))
            .then_refused(Refusal::Exists);
        given::<Upload>([uploaded()]).when(Command::Remove).then([Event::FileRemoved {}]);
        given::<Upload>([uploaded(), Event::FileRemoved {}]).when(Command::Remove).then_nothing();
        given::<Upload>([uploaded(), Event::FileRemoved {}])
            .when(keep("a/b.png", "image/png"))
            .then_refused(Refusal::Exists);
    }

    #[test]
    fn keys_lead_nowhere_else() {
        let long = "x".repeat(MAX_KEY + 1);
        for bad in ["", "/a", "a//b", "../a", "a/./b", "a/..", "a\\b", "a\nb", "a\0", &long] {
            given::<Upload>([]).when(keep(bad, "image/png")).then_refused(Refusal::BadKey);
        }
    }

    #[test]
    fn media_types_are_nothing_else() {
        for bad in ["", "png", "image/", "Image/PNG", "a/b;c=d", "a/b\r\nx: y", "a/b/c"] {
            given::<Upload>([]).when(keep("a", bad)).then_refused(Refusal::BadMediaType);
        }
    }

    #[test]
    fn a_path_is_a_folder_unless_its_end_has_an_extension() {
        for (path, expected) in [
            ("", "20260102030405_cat.png"),
            (" / ", "20260102030405_cat.png"),
            ("uploads/images", "uploads/images/cat.png"),
            ("uploads/images/", "uploads/images/cat.png"),
            ("/uploads//images", "uploads/images/cat.png"),
            ("uploads/dog.png", "uploads/dog.png"),
            ("v1.2/", "v1.2/cat.png"),
            (".hidden", ".hidden/cat.png"),
            ("目录", "目录/cat.png"),
        ] {
            assert_eq!(key(path, "cat.png", "20260102030405").as_deref(), Ok(expected), "{path}");
        }
        for path in ["..", "a/../../b", "./a.png", "a\0", r"a\b.png", "a/\u{202e}gnp.exe"] {
            assert_eq!(key(path, "cat.png", "20260102030405"), Err(Refusal::BadKey), "{path:?}");
        }
    }
}
