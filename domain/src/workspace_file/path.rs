//! Names of files within a workspace. There are no links and no parent folders in a workspace, so a path that is one
//! cannot lead out of it; the rules here also keep it harmless where it is unpacked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest path, in bytes.
pub const LONGEST_PATH: usize = 1_024;
/// Longest name of a file or folder, in bytes: what file systems allow.
pub const LONGEST_NAME: usize = 255;
/// Most names in a path.
pub const DEEPEST: usize = 16;

/// A file or folder within a workspace: names joined by `/`, relative, in the spelling it was given. Unicode is not
/// normalised: two spellings are two files, as on Linux.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilePath(String);

/// Why a text is no path within a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It names nothing, or the workspace itself.
    #[error("a path within the workspace is needed")]
    Empty,
    /// It begins at a root, of a machine or of a drive.
    #[error("the path has to be relative to the workspace")]
    Absolute,
    /// One of its names is `..`, also when hidden by encoding.
    #[error("the path leads out of the workspace")]
    Outside,
    /// It holds a backslash, a control character, or an empty name.
    #[error("the path holds characters or names that are not allowed")]
    Characters,
    /// It is too long or too deep.
    #[error(
        "the path is longer than {LONGEST_PATH} bytes, deeper than {DEEPEST} folders, or has a name of more than {LONGEST_NAME} bytes"
    )]
    TooLong,
}

impl FilePath {
    /// The path in `text`. Names that are `.`, and a slash at the end, are left out.
    ///
    /// # Errors
    /// [`BadPath`].
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        if text.len() > 4 * LONGEST_PATH {
            return Err(BadPath::TooLong);
        }
        let drive =
            text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
        if text.starts_with(['/', '\\']) || drive {
            return Err(BadPath::Absolute);
        }
        let whole = text.strip_suffix('/').unwrap_or(text);
        let names: Vec<&str> = whole.split('/').filter(|name| *name != ".").collect();
        if whole.is_empty() || names.is_empty() {
            return Err(BadPath::Empty);
        }
        names.iter().try_for_each(|name| check_name(name))?;
        let path = names.join("/");
        if path.len() > LONGEST_PATH || names.len() > DEEPEST {
            return Err(BadPath::TooLong);
        }
        Ok(Self(path))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Its names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The folders it lies in, outermost first.
    pub fn folders(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.match_indices('/').map(|(end, _)| Self(self.0[..end].to_owned()))
    }

    /// What is left of it below `folder`; `None` when it does not lie there.
    pub fn below<'a>(&'a self, folder: &Self) -> Option<&'a str> {
        self.0.strip_prefix(&*folder.0)?.strip_prefix('/')
    }

    /// `name` below this folder.
    ///
    /// # Errors
    /// [`BadPath`] when the whole is no path.
    pub fn join(&self, name: &str) -> Result<Self, BadPath> {
        Self::parse(&format!("{}/{name}", self.0))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_name(name: &str) -> Result<(), BadPath> {
    if name == ".." {
        return Err(BadPath::Outside);
    }
    // Encoded once more, a name means something else to whoever decodes it.
    let lower = name.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%00"].iter().any(|hidden| lower.contains(hidden)) {
        return Err(BadPath::Outside);
    }
    if name.trim().is_empty() || name.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(BadPath::Characters);
    }
    if name.len() > LONGEST_NAME { Err(BadPath::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, BadPath> {
        FilePath::parse(text).map(|path| path.0)
    }

    #[test]
    fn paths_are_kept_without_what_says_nothing() {
        for (text, path) in [
            ("a.txt", "a.txt"),
            ("./a/./b.txt", "a/b.txt"),
            ("docs/", "docs"),
            ("报告/größe 😀.md", "报告/größe 😀.md"),
            ("a..b/...", "a..b/..."),
            ("100%.txt", "100%.txt"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(path), "{text:?}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        use BadPath::{Absolute, Characters, Empty, Outside, TooLong};
        for (text, why) in [
            ("", Empty),
            (".", Empty),
            ("./", Empty),
            ("/", Absolute),
            ("/etc/passwd", Absolute),
            ("//server/share", Absolute),
            (r"\\server\share", Absolute),
            (r"C:\x", Absolute),
            ("c:/x", Absolute),
            ("..", Outside),
            ("../x", Outside),
            ("a/../../x", Outside),
            ("a/..", Outside),
            ("%2e%2e/x", Outside),
            ("a/%2E%2E%2fx", Outside),
            ("a%5Cb", Outside),
            ("a%00", Outside),
            (r"a\b", Characters),
            (r"..\x", Characters),
            ("a\0b", Characters),
            ("a\nb", Characters),
            ("a//b", Characters),
            ("a/ /b", Characters),
        ] {
            assert_eq!(parsed(text), Err(why), "{text:?}");
        }
        assert_eq!(parsed(&"a".repeat(LONGEST_NAME + 1)), Err(TooLong));
        assert_eq!(parsed(&"a/".repeat(DEEPEST + 1)), Err(TooLong));
        assert_eq!(parsed(&["ab"; 2_000].join("/")), Err(TooLong));
        assert!(parsed(&"a/".repeat(DEEPEST)).is_ok());
    }

    #[test]
    fn a_path_knows_its_folders() -> Result<(), BadPath> {
        let path = FilePath::parse("a/b/c.txt")?;
        let folders: Vec<String> = path.folders().map(|folder| folder.0).collect();
        assert_eq!((folders, path.name()), (vec!["a".to_owned(), "a/b".to_owned()], "c.txt"));
        assert_eq!(path.below(&FilePath::parse("a")?), Some("b/c.txt"));
        assert_eq!(path.below(&FilePath::parse("a/b/c")?), None);
        assert_eq!(FilePath::parse("a")?.join("../b"), Err(BadPath::Outside));
        Ok(())
    }
}
