//! Files as folders show them.

use super::Listed;
use chrono::{DateTime, Utc};
use domain::workspace_file::FilePath;
use std::collections::BTreeMap;

/// A file or folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where in the workspace.
    pub path: FilePath,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes; 0 for folders.
    pub size: u64,
    /// When it, or something in it, was last written.
    pub modified_at: DateTime<Utc>,
}

/// How much of a folder to show.
#[derive(Debug, Clone, Copy, Default)]
pub struct View<'a> {
    /// The folder; `None` for the workspace itself.
    pub folder: Option<&'a FilePath>,
    /// Levels of subfolders that are opened; `None` for all.
    pub depth: Option<usize>,
    /// Whether names that begin with a dot are shown.
    pub hidden: bool,
}

/// What a view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Of each folder first its files, then its subfolders, then what is in these.
    pub entries: Vec<Entry>,
    /// Whether something lies deeper than was asked for.
    pub cut: bool,
}

/// What `view` shows of `files`, which lie below its folder.
pub fn shown(files: &[Listed], view: View<'_>) -> Shown {
    let mut root = Node::default();
    for file in files {
        let inner = match view.folder {
            Some(folder) => file.path.below(folder),
            None => Some(file.path.as_str()),
        };
        let Some(inner) = inner else { continue };
        if view.hidden || !inner.split('/').any(|name| name.starts_with('.')) {
            root.insert(inner, file);
        }
    }
    let mut shown = Shown { entries: Vec::new(), cut: false };
    root.show(view.folder, view.depth, &mut shown);
    shown
}

#[derive(Default)]
struct Node<'a> {
    files: BTreeMap<&'a str, &'a Listed>,
    folders: BTreeMap<&'a str, Self>,
    modified_at: DateTime<Utc>,
}

impl<'a> Node<'a> {
    fn insert(&mut self, inner: &'a str, file: &'a Listed) {
        self.modified_at = self.modified_at.max(file.modified_at);
        match inner.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder).or_default().insert(rest, file),
            None => {
                self.files.insert(inner, file);
            }
        }
    }

    fn show(&self, at: Option<&FilePath>, depth: Option<usize>, shown: &mut Shown) {
        shown.entries.extend(self.files.values().map(|file| Entry {
            path: file.path.clone(),
            folder: false,
            size: file.content.size,
            modified_at: file.modified_at,
        }));
        let path = |name: &str| match at {
            Some(at) => at.join(name),
            None => FilePath::parse(name),
        };
        // Names of a path make paths.
        let folders: Vec<_> =
            self.folders.iter().filter_map(|(name, node)| Some((path(name).ok()?, node))).collect();
        shown.entries.extend(folders.iter().map(|(path, node)| Entry {
            path: path.clone(),
            folder: true,
            size: 0,
            modified_at: node.modified_at,
        }));
        match depth {
            Some(0) => shown.cut |= !folders.is_empty(),
            _ => folders.iter().for_each(|(path, node)| {
                node.show(Some(path), depth.map(|depth| depth - 1), shown);
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        document::BlobHash,
        workspace_file::{BadPath, Content},
    };

    fn files(paths: &[&str]) -> Result<Vec<Listed>, BadPath> {
        let listed = |path: &&str| {
            let (blob, media_type) = (BlobHash(String::new()), String::new());
            let content = Content { blob, size: 1, media_type };
            Ok(Listed { path: FilePath::parse(path)?, content, modified_at: DateTime::UNIX_EPOCH })
        };
        paths.iter().map(listed).collect()
    }

    fn paths(shown: &Shown) -> Vec<&str> {
        shown.entries.iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn files_come_before_folders_and_hidden_ones_not_at_all() -> Result<(), BadPath> {
        let files = files(&["a/b/c", "a/z", "a.txt", "y/x", "z", ".git/head", "a/.env"])?;
        let all = shown(&files, View::default());
        assert_eq!(paths(&all), ["a.txt", "z", "a", "y", "a/z", "a/b", "a/b/c", "y/x"]);
        assert!(!all.cut);
        let hidden = shown(&files, View { hidden: true, ..View::default() });
        assert_eq!(hidden.entries.len(), 11);
        Ok(())
    }

    #[test]
    fn a_view_ends_at_its_depth() -> Result<(), BadPath> {
        let files = files(&["a/b/c", "a/z"])?;
        let top = shown(&files, View { depth: Some(0), ..View::default() });
        assert_eq!((paths(&top), top.cut), (vec!["a"], true));
        let folder = FilePath::parse("a")?;
        let view = View { folder: Some(&folder), depth: Some(1), hidden: false };
        let inner = shown(&files, view);
        assert_eq!((paths(&inner), inner.cut), (vec!["a/z", "a/b", "a/b/c"], false));
        Ok(())
    }
}
