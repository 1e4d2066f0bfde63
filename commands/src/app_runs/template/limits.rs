//! How much a template may be, do and say: definitions come from anybody.

use liquid_core::{Runtime, ValueView};
use regex::Regex;
use std::{
    io::{self, Write},
    sync::LazyLock,
};

/// Bytes of a template.
const LARGEST: usize = 256 << 10;
/// Blocks within blocks, and brackets within brackets; the parser works by recursion.
const DEEPEST: usize = 24;
/// Rounds of all counted loops, each inside the other.
const ROUNDS: u64 = 100_000;
/// Variables looked at, long ones counting more.
const BUDGET: u64 = 2_000_000;
/// Bytes of what is said.
const SAID: usize = 4 << 20;

#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{%-?\s*([a-z]+)").unwrap());
#[expect(clippy::unwrap_used, reason = "a fixed expression")]
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\(\s*([^()]*?)\s*\.\.\s*([^()]*?)\s*\)").unwrap());

/// Whether a template may be tried at all.
///
/// # Errors
/// With why not.
pub(super) fn check(template: &str) -> Result<(), String> {
    if template.len() > LARGEST {
        return Err(format!("longer than {LARGEST} bytes"));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for tag in TAG.captures_iter(template).filter_map(|found| found.get(1)) {
        match tag.as_str() {
            "if" | "unless" | "case" | "for" | "tablerow" | "capture" | "comment" | "raw"
            | "ifchanged" => depth += 1,
            name if name.starts_with("end") => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let mut brackets = 0_usize;
    for byte in template.bytes() {
        match byte {
            b'[' => brackets += 1,
            b']' => brackets = brackets.saturating_sub(1),
            b'}' => brackets = 0,
            _ => {}
        }
        deepest = deepest.max(brackets);
    }
    if deepest > DEEPEST {
        return Err("nested too deeply".to_owned());
    }
    let mut rounds = 1_u64;
    for range in RANGE.captures_iter(template) {
        let bound = |at| range.get(at).and_then(|found| found.as_str().parse::<i64>().ok());
        let (Some(first), Some(last)) = (bound(1), bound(2)) else {
            return Err("a counted loop needs two numbers".to_owned());
        };
        rounds = rounds.saturating_mul(last.saturating_sub(first).max(0).unsigned_abs() + 1);
    }
    match rounds > ROUNDS {
        true => Err("it would count for too long".to_owned()),
        false => Ok(()),
    }
}

#[derive(Default)]
struct Spent(u64);

/// Counts a look at a value. Whether that could be afforded.
pub(super) fn spend(runtime: &dyn Runtime, value: &dyn ValueView) -> bool {
    let size = match (value.as_array(), value.as_object(), value.as_scalar()) {
        (Some(items), ..) => items.size().unsigned_abs(),
        (_, Some(fields), _) => fields.size().unsigned_abs(),
        (.., Some(scalar)) => scalar.to_kstr().len() as u64 / 64,
        _ => 0,
    };
    let mut spent = runtime.registers().get_mut::<Spent>();
    spent.0 = spent.0.saturating_add(size + 1);
    spent.0 <= BUDGET
}

/// What was said so far.
#[derive(Default)]
pub(super) struct Written(Vec<u8>);

impl Written {
    pub fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.0).map_err(|error| error.to_string())
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > SAID {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
