//! The files of the application.

use commands::effects::secret::hex;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The page itself, with `{{root}}` and `{{assets}}` to be filled in.
pub(super) const PAGE: &str = include_str!("app/index.html");

/// A file as it is sent.
pub(super) struct File {
    /// Its path below the folder.
    pub name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
    /// Its strong entity tag, quotes included.
    pub tag: String,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// Content type and path of each, to be found beside this file in `app`.
macro_rules! files {
    ($($kind:ident $name:literal)*) => {
        [$(($name, $kind, include_bytes!(concat!("app/", $name)).as_slice())),*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files = files! {
        DRAWING "icon.svg"
        STYLE "style.css"
        SCRIPT "theme.js"
        SCRIPT "app.js"
        SCRIPT "api.js"
        SCRIPT "dom.js"
        SCRIPT "markdown.js"
        SCRIPT "pages.js"
        SCRIPT "pages/chat.js"
        SCRIPT "pages/chat_stream.js"
        SCRIPT "pages/chat_talk.js"
        STYLE "pages/chat.css"
        SCRIPT "pages/runs.js"
        SCRIPT "pages/runs_detail.js"
        SCRIPT "pages/runs_timeline.js"
        STYLE "pages/runs.css"
        SCRIPT "pages/log.js"
        STYLE "pages/log.css"
        SCRIPT "charts.js"
        SCRIPT "rows.js"
        SCRIPT "matches.js"
        SCRIPT "pages/knowledge.js"
        SCRIPT "pages/knowledge_documents.js"
        SCRIPT "pages/knowledge_query.js"
        SCRIPT "pages/usage.js"
        SCRIPT "pages/system.js"
        STYLE "pages/panels.css"
    };
    files.map(|(name, kind, bytes)| File { name, kind, bytes, tag: tag(bytes) }).into()
});

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for file in FILES.iter() {
        all.update(file.name);
        all.update(&file.tag);
    }
    format!("v{}", hex(&all.finalize()[..8]))
});

/// The file with this path.
pub(super) fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// What stands in the paths of all files as they are now.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// The path without the version of another build: a page that was loaded before an upgrade still finds its modules.
pub(super) fn unversioned(path: &str) -> &str {
    let another = |first: &str| {
        let digits = first.strip_prefix('v').unwrap_or_default();
        digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    path.split_once('/').filter(|(first, _)| another(first)).map_or(path, |(_, rest)| rest)
}

/// The strong entity tag of these bytes, quotes included.
pub(super) fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex(&Sha256::digest(bytes)[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_taken_off_and_nothing_else() {
        assert_eq!(unversioned("v0123456789abcdef/pages/chat.js"), "pages/chat.js");
        assert_eq!(unversioned("pages/chat.js"), "pages/chat.js");
        assert_eq!(unversioned(&format!("{}/app.js", version())), "app.js");
    }
}
