//! Searching texts line by line, within limits of time and size.

use super::{Find, NAMED, PATTERN, folder, inner, matcher};
use crate::effects::tools::{
    Call, Place,
    builtin::{Answer, arguments, clipped, json_answer, told},
};
use domain::workspace_file::FilePath;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Largest compiled expression, in bytes: with the length of a line it bounds the time of one match.
const EXPRESSION: usize = 1 << 18;
/// Largest file that is searched, in bytes.
const FILE: u64 = 4 << 20;
/// Bytes of a line that are searched.
const SEARCHED: usize = 1 << 16;
/// Characters of a line that are shown.
const LINE: usize = 500;
/// How long one search may take; what was found by then is the answer.
const TIME: Duration = Duration::from_secs(15);
/// Most lines around a match.
const CONTEXT: usize = 20;

#[derive(Deserialize)]
struct Grep {
    pattern: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    glob: Option<String>,
    #[serde(default)]
    output_mode: Mode,
    #[serde(default)]
    case_insensitive: bool,
    #[serde(default)]
    context_lines: usize,
    #[serde(default)]
    head_limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Content,
    FilesWithMatches,
    Count,
}

/// A search through one file after the other.
struct Search {
    regex: Regex,
    mode: Mode,
    context: usize,
    limit: usize,
    until: Instant,
    found: Vec<Value>,
    total: usize,
    cut: bool,
}

impl Find {
    pub(super) async fn grep(&self, place: &Place, call: &Call) -> Answer {
        let wanted: Grep = arguments(call)?;
        let mut search = Search::new(&wanted)?;
        let filter = wanted.glob.as_deref().map(matcher).transpose()?;
        let at = folder(wanted.path.as_deref())?;
        let mut files = self.files(place, at.as_ref()).await?;
        // The path may name a single file.
        if let (Some(one), true) = (&at, files.is_empty()) {
            let folder = one.folders().last();
            files = self.files(place, folder.as_ref()).await?;
            files.retain(|file| file.path == *one);
        }
        for file in files {
            if search.is_over() {
                break;
            }
            let fits = filter.as_ref().is_none_or(|f| f.is_match(inner(&file.path, at.as_ref())));
            if !fits || file.content.size > FILE {
                continue;
            }
            let bytes = self.workspaces.bytes(&file.content, FILE).await.map_err(told)?;
            let Ok(text) = String::from_utf8(bytes.into()) else { continue };
            // A match costs CPU, not waiting: it must not hold up the other tasks.
            let searched = tokio::task::spawn_blocking(move || {
                search.through(&file.path, &text);
                search
            });
            search = searched.await.map_err(|_| "the search broke off".to_owned())?;
        }
        json_answer(&search.answer())
    }
}

impl Search {
    fn new(wanted: &Grep) -> Result<Self, String> {
        let pattern = wanted.pattern.as_str();
        if pattern.is_empty() || pattern.len() > PATTERN {
            return Err(format!("a pattern has 1 to {PATTERN} bytes"));
        }
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(wanted.case_insensitive)
            .size_limit(EXPRESSION)
            .build();
        Ok(Self {
            regex: regex.map_err(|error| format!("{pattern:?}: {error}"))?,
            mode: wanted.output_mode,
            context: wanted.context_lines.min(CONTEXT),
            limit: wanted.head_limit.unwrap_or(200).clamp(1, NAMED),
            until: Instant::now() + TIME,
            found: Vec::new(),
            total: 0,
            cut: false,
        })
    }

    fn is_over(&mut self) -> bool {
        self.cut |= Instant::now() >= self.until || self.found.len() >= self.limit;
        self.cut
    }

    fn through(&mut self, path: &FilePath, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let mut matches = 0;
        for (at, line) in lines.iter().enumerate() {
            if Instant::now() >= self.until {
                self.cut = true;
                break;
            }
            let end = line.floor_char_boundary(SEARCHED);
            if !self.regex.is_match(&line[..end]) {
                continue;
            }
            matches += 1;
            match self.mode {
                Mode::Content if self.found.len() >= self.limit => {
                    self.cut = true;
                    break;
                }
                Mode::Content => self.found.push(self.found_at(path, &lines, at)),
                Mode::FilesWithMatches => break,
                Mode::Count => {}
            }
        }
        self.total += matches;
        match self.mode {
            Mode::FilesWithMatches if matches > 0 => self.found.push(json!(path)),
            Mode::Count if matches > 0 => {
                self.found.push(json!({"file": path, "matches": matches}));
            }
            Mode::Content | Mode::FilesWithMatches | Mode::Count => {}
        }
    }

    fn found_at(&self, path: &FilePath, lines: &[&str], at: usize) -> Value {
        let shown = |lines: &[&str]| -> Vec<String> {
            lines.iter().map(|line| clipped(line, LINE).0.to_owned()).collect()
        };
        let mut found = json!({"file": path, "line": at + 1, "text": clipped(lines[at], LINE).0});
        if self.context > 0 {
            let last = (at + 1 + self.context).min(lines.len());
            found["before"] = json!(shown(&lines[at.saturating_sub(self.context)..at]));
            found["after"] = json!(shown(&lines[at + 1..last]));
        }
        found
    }

    fn answer(self) -> Value {
        let what = match self.mode {
            Mode::Content => "matches",
            Mode::FilesWithMatches => "files",
            Mode::Count => "counts",
        };
        json!({what: self.found, "count": self.found.len(), "total": self.total, "truncated": self.cut})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grep(pattern: &str) -> Grep {
        Grep {
            pattern: pattern.to_owned(),
            path: None,
            glob: None,
            output_mode: Mode::Content,
            case_insensitive: false,
            context_lines: 1,
            head_limit: Some(2),
        }
    }

    #[test]
    fn matches_come_with_their_lines() -> Result<(), Box<dyn std::error::Error>> {
        let mut search = Search::new(&grep("b+"))?;
        let path = FilePath::parse("x.txt")?;
        search.through(&path, "a\nabb\nc\nb\nb\n");
        let answer = search.answer();
        assert_eq!(
            answer["matches"][0],
            json!({"file": "x.txt", "line": 2, "text": "abb", "before": ["a"], "after": ["c"]})
        );
        assert_eq!((&answer["count"], &answer["truncated"]), (&json!(2), &json!(true)));
        Ok(())
    }

    #[test]
    fn patterns_that_are_too_much_are_refused() {
        for pattern in ["", "(", &"a".repeat(PATTERN + 1), r"((\w{99}){99}){99}"] {
            assert!(Search::new(&grep(pattern)).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_catastrophic_pattern_is_none_here() -> Result<(), Box<dyn std::error::Error>> {
        let mut search = Search::new(&grep("(a*)*(a|aa)+$"))?;
        let began = Instant::now();
        search.through(&FilePath::parse("x.txt")?, &format!("{}b", "a".repeat(60_000)));
        assert_eq!(search.total, 0);
        assert!(began.elapsed() < TIME, "{:?}", began.elapsed());
        Ok(())
    }
}
