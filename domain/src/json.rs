//! Limits on JSON that comes from outside.

/// Deepest nesting taken from clients and providers. Parsers stop at 128 levels, and what is stored is wrapped in a few
/// more: without a lower limit at the door, something could be written that can never be read again.
pub const DEEPEST: usize = 64;

/// Whether arrays and objects nest deeper than [`DEEPEST`]. Works on any bytes; well-formedness is somebody else's check.
pub fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        if in_string {
            (in_string, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings_only() {
        assert!(!is_too_deep("[".repeat(DEEPEST).as_bytes()));
        assert!(is_too_deep("[".repeat(DEEPEST + 1).as_bytes()));
        assert!(!is_too_deep(format!("\"{}\\\"{}\"", "[".repeat(99), "{".repeat(99)).as_bytes()));
        assert!(!is_too_deep("[]".repeat(200).as_bytes()));
    }
}
