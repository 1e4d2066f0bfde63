//! Server-sent events out of bytes that arrive cut at any place.

/// One event, ended by a blank line or by the end of the stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::effects) struct Event {
    /// The `event:` field; empty when there was none.
    pub name: Vec<u8>,
    /// The `data:` lines, joined by line feeds.
    pub data: Vec<u8>,
}

/// A line, or the data of one event, is longer than this decoder holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::effects) struct TooLong;

/// The state between two pieces of the stream. Lines end with LF, CRLF or CR; comments and unknown fields are skipped.
#[derive(Debug)]
pub(in crate::effects) struct Decoder {
    limit: usize,
    line: Vec<u8>,
    after_cr: bool,
    event: Event,
    has_data: bool,
}

impl Decoder {
    /// A decoder that holds at most `limit` bytes of a line and of an event's data.
    pub fn new(limit: usize) -> Self {
        let (line, event) = (Vec::new(), Event::default());
        Self { limit, line, after_cr: false, event, has_data: false }
    }

    /// Takes the next bytes and appends the events that they complete.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + piece.len() > self.limit {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            events.extend(self.end_line()?);
        }
        Ok(())
    }

    /// Ends the stream: an event that lacks its blank line is still an event to us, though not to the standard.
    pub fn end(&mut self) -> Result<Option<Event>, TooLong> {
        let last = self.end_line()?;
        Ok(last.or_else(|| self.end_event()))
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                if self.event.data.len() + value.len() >= self.limit {
                    return Err(TooLong);
                }
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.has_data = true;
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = value.to_vec(),
            // A comment (nothing before the colon), `id`, `retry` or something newer.
            _ => {}
        }
        self.line = line;
        self.line.clear();
        Ok(None)
    }

    fn end_event(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]], limit: usize) -> Result<Vec<(String, String)>, TooLong> {
        let (mut decoder, mut events) = (Decoder::new(limit), Vec::new());
        for piece in pieces {
            decoder.push(piece, &mut events)?;
        }
        events.extend(decoder.end()?);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(events.into_iter().map(|e| (text(e.name), text(e.data))).collect())
    }

    fn data(stream: &str) -> Vec<String> {
        let events = decode(&[stream.as_bytes()], 1_000).expect("short");
        events.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn every_line_ending_ends_a_line() {
        for ending in ["\n", "\r\n", "\r"] {
            let stream = ["data: a", "", "data:b", "", ""].join(ending);
            assert_eq!(data(&stream), ["a", "b"], "{ending:?}");
        }
    }

    #[test]
    fn a_crlf_cut_in_the_middle_is_one_line_ending() {
        let events = decode(&[b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n"], 100);
        assert_eq!(events, Ok(vec![(String::new(), "a\nb".into())]));
    }

    #[test]
    fn only_data_makes_an_event() {
        assert_eq!(data(": hello\n\nid: 7\nretry: 10\n\nevent: ping\n\ndata: x\n\n"), ["x"]);
        assert_eq!(data("data\n\n"), [""]);
        assert_eq!(data("data:  two blanks\n\n"), [" two blanks"]);
        assert_eq!(data("data: {\ndata: }\n\n"), ["{\n}"]);
    }

    #[test]
    fn an_event_name_belongs_to_its_event_only() {
        let events = decode(&[b"event: error\ndata: x\n\ndata: y\n\n"], 100);
        assert_eq!(events, Ok(vec![("error".into(), "x".into()), (String::new(), "y".into())]));
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        assert_eq!(data("data: a\n\ndata: b\n"), ["a", "b"]);
        assert_eq!(data("data: a\n\ndata: b"), ["a", "b"]);
        assert_eq!(data("data: a\n\n"), ["a"]);
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let long = format!("data: {}", "x".repeat(50));
        assert_eq!(decode(&[long.as_bytes()], 40), Err(TooLong));
        let many = "data: 12345678\n".repeat(5);
        assert_eq!(decode(&[many.as_bytes()], 40), Err(TooLong));
        assert!(decode(&[many.as_bytes()], 60).is_ok());
    }
}
