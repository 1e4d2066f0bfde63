//! Names and media types of uploaded files: from strangers, to be shown to others.

use crate::core::upload;
use domain::upload::is_deceptive;
use mime_guess::Mime;
use percent_encoding::percent_decode_str;

/// Bytes are bytes.
const UNKNOWN: &str = "application/octet-stream";

/// The name without what makes it look like another.
pub(super) fn plain(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !is_deceptive(*c)).collect();
    upload::shown(&plain)
}

/// The name of a file from the last part of its URL's path. An image gets its ending when it has none.
pub(super) fn of_link(part: &str, media_type: &str) -> String {
    let name = plain(&percent_decode_str(part).decode_utf8_lossy());
    let ending = match essence(media_type) {
        Some(image) if !name.contains('.') => image.strip_prefix("image/").map(str::to_owned),
        _ => None,
    };
    let ending = ending.map(|subtype| subtype.trim_end_matches("+xml").replace("jpeg", "jpg"));
    ending.map_or(name.clone(), |ending| format!("{name}.{ending}"))
}

/// What the file is: what the client says, or else what its name says.
pub(super) fn media_type(said: &str, name: &str) -> String {
    let said = essence(said).filter(|said| said != UNKNOWN);
    let guess = || mime_guess::from_path(name).first_or_octet_stream().essence_str().to_owned();
    said.unwrap_or_else(guess)
}

fn essence(said: &str) -> Option<String> {
    let parsed: Option<Mime> = said.trim().parse().ok();
    let essence = parsed.map(|mime| mime.essence_str().to_ascii_lowercase());
    essence.filter(|essence| essence.len() <= domain::upload::MAX_MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pose_as_another() {
        assert_eq!(plain("cat\u{202e}gpj.exe"), "catgpj.exe");
        assert_eq!(plain("\u{202e}"), "file");
        assert_eq!(plain("家族👨‍👩‍👧.png"), "家族👨‍👩‍👧.png");
    }

    #[test]
    fn a_link_names_its_file() {
        for (part, media_type, name) in [
            ("cat.png", "image/png", "cat.png"),
            ("%E7%8C%AB.png", "", "猫.png"),
            ("%2e%2e%2fpasswd", "text/plain", "passwd"),
            ("", "image/jpeg; x=y", "file.jpg"),
            ("logo", "image/svg+xml", "logo.svg"),
            ("logo", "text/html", "logo"),
        ] {
            assert_eq!(of_link(part, media_type), name, "{part}");
        }
    }

    #[test]
    fn a_media_type_is_said_or_guessed() {
        for (said, name, kept) in [
            ("image/PNG; a=b", "x.txt", "image/png"),
            ("", "x.JPG", "image/jpeg"),
            ("application/octet-stream", "x.pdf", "application/pdf"),
            ("nonsense", "x", "application/octet-stream"),
            ("text/html\r\nx: y", "x", "application/octet-stream"),
        ] {
            assert_eq!(media_type(said, name), kept, "{said}");
        }
    }
}
