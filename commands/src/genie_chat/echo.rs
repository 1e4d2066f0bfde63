//! What was said before a performer died, against what the next one's model says.

/// Text that clients have already. As long as the model says the same again, nothing is sent.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// What they have.
    said: String,
    /// How much of it has been said again.
    heard: usize,
    /// Whether the model has said something else.
    differs: bool,
}

/// What a piece of text means for clients.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// They have it.
    Nothing,
    /// This is new.
    More(String),
    /// What they have does not count; this does.
    Anew(String),
}

impl Echo {
    /// Of what clients have.
    pub fn of(said: String) -> Self {
        Self { said, ..Self::default() }
    }

    /// The model says `piece`.
    pub fn hear(&mut self, piece: &str) -> News {
        let known = &self.said[self.heard..];
        if self.differs || known.is_empty() {
            return News::More(piece.to_owned());
        }
        if known.starts_with(piece) {
            self.heard += piece.len();
            return News::Nothing;
        }
        if let Some(more) = piece.strip_prefix(known) {
            self.heard = self.said.len();
            return News::More(more.to_owned());
        }
        self.differs = true;
        News::Anew(format!("{}{piece}", &self.said[..self.heard]))
    }

    /// The model has nothing more to say.
    pub fn end(&mut self) -> News {
        if self.differs || self.heard == self.said.len() {
            return News::Nothing;
        }
        self.differs = true;
        News::Anew(self.said[..self.heard].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(said: &str, pieces: &[&str]) -> Vec<News> {
        let mut echo = Echo::of(said.to_owned());
        let mut news: Vec<News> = pieces.iter().map(|piece| echo.hear(piece)).collect();
        news.push(echo.end());
        news
    }

    fn more(text: &str) -> News {
        News::More(text.to_owned())
    }

    fn anew(text: &str) -> News {
        News::Anew(text.to_owned())
    }

    #[test]
    fn what_is_said_the_same_again_is_not_said_twice() {
        use News::Nothing;
        assert_eq!(hear("", &["a", "b"]), [more("a"), more("b"), Nothing]);
        assert_eq!(
            hear("one two", &["one", " tw", "o three"]),
            [Nothing, Nothing, more(" three"), Nothing]
        );
        assert_eq!(hear("one", &["one", " two"]), [Nothing, more(" two"), Nothing]);
        assert_eq!(hear("äöü", &["ä", "öüß"]), [Nothing, more("ß"), Nothing]);
    }

    #[test]
    fn whoever_says_something_else_begins_anew() {
        use News::Nothing;
        assert_eq!(
            hear("one two", &["one", " 2", " 3"]),
            [Nothing, anew("one 2"), more(" 3"), Nothing]
        );
        assert_eq!(hear("one two", &["one"]), [Nothing, anew("one")]);
        assert_eq!(hear("one", &[]), [anew("")]);
    }
}
