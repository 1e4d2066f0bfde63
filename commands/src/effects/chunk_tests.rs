use super::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const SMALL: Sizes = Sizes { target: 40, overlap: 15 };

fn texts<'a>(text: &'a str, outline: &[Heading], sizes: Sizes) -> Vec<&'a str> {
    chunk(text, outline, sizes).into_iter().map(|piece| &text[piece.range]).collect()
}

fn heading(text: &str, line: &str, level: u8) -> Heading {
    let start = text.find(line).unwrap_or_default();
    let title = line.trim_start_matches(['#', ' ']).to_owned();
    Heading { start, end: start + line.len(), level, title }
}

#[test]
fn a_short_text_is_one_passage() {
    assert_eq!(texts("  One. Two.\n", &[], SMALL), ["One. Two."]);
    assert_eq!(texts(" \n ", &[], SMALL), Vec::<&str>::new());
}

#[test]
fn sentences_stay_whole_and_overlap() {
    let text = "The first one is here. A short one. The third one goes on. End.";
    assert_eq!(
        texts(text, &[], SMALL),
        ["The first one is here. A short one.", "A short one. The third one goes on. End."]
    );
}

#[test]
fn paragraphs_are_preferred_borders() {
    let text = "A first paragraph here.\n\nA second one. It has two sentences in it.";
    assert_eq!(
        texts(text, &[], Sizes { target: 45, overlap: 30 }),
        ["A first paragraph here.", "A second one. It has two sentences in it."]
    );
}

#[test]
fn chinese_sentences_end_without_a_space() {
    let text = "知识库很有用。它保存文件！还能检索吗？可以。";
    let sizes = Sizes { target: 45, overlap: 0 };
    assert_eq!(texts(text, &[], sizes), ["知识库很有用。它保存文件！", "还能检索吗？可以。"]);
}

#[test]
fn decimals_and_names_are_not_sentence_ends() {
    assert_eq!(sentence("Version 3.14 of a.b is out. Next"), "Version 3.14 of a.b is out.".len());
    assert_eq!(sentence("He said \"no.\" Then"), "He said \"no.\"".len());
}

#[test]
fn passages_know_the_headings_above_them() {
    let text = "intro\n# A\ntext a\n## B\ntext b\n# C\n# D\n";
    let outline = [
        heading(text, "# A", 1),
        heading(text, "## B", 2),
        heading(text, "# C", 1),
        heading(text, "# D", 1),
    ];
    let found: Vec<_> = chunk(text, &outline, SMALL)
        .into_iter()
        .map(|piece| (piece.heading, &text[piece.range]))
        .collect();
    let expected = [("", "intro"), ("A", "text a"), ("A > B", "text b"), ("", "# C"), ("", "# D")];
    assert_eq!(found, expected.map(|(heading, text)| (heading.to_owned(), text)));
}

#[test]
fn endless_words_are_cut_between_characters() {
    let text = "知".repeat(100);
    let pieces = texts(&text, &[], Sizes { target: 40, overlap: 0 });
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().all(|piece| piece.len() <= 40), "{pieces:?}");
}

/// Any text whatever, from letters that matter to the cutting.
fn random_text(rng: &mut StdRng) -> String {
    const LETTERS: [&str; 16] = [
        "a", "word", " ", "  ", "\n", "\n\n", "\r\n", ".", ". ", "!", "。", "知", "😀", "\"", "é",
        "\t",
    ];
    let length = rng.random_range(0..200);
    (0..length).map(|_| LETTERS[rng.random_range(0..LETTERS.len())]).collect()
}

fn random_outline(rng: &mut StdRng, text: &str) -> Vec<Heading> {
    let mut outline = Vec::new();
    let mut at = 0;
    while at < text.len() && rng.random_bool(0.6) {
        let start = text.ceil_char_boundary(rng.random_range(at..=text.len()));
        let end = text.ceil_char_boundary((start + rng.random_range(0..9)).min(text.len()));
        let level = rng.random_range(0..7);
        outline.push(Heading { start, end, level, title: text[start..end].to_owned() });
        at = end + 1;
    }
    outline
}

#[test]
fn whatever_the_text_passages_are_its_bytes_in_order_and_nothing_is_lost() {
    for seed in 0..3_000 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let text = random_text(rng);
        let outline = random_outline(rng, &text);
        let sizes = Sizes { target: rng.random_range(4..80), overlap: rng.random_range(0..40) };
        let pieces = chunk(&text, &outline, sizes);
        let mut covered = vec![false; text.len()];
        for heading in &outline {
            covered[heading.start..heading.end].fill(true);
        }
        for pair in pieces.windows(2) {
            assert!(pair[0].range.start < pair[1].range.start, "{seed}: {pieces:?}");
            assert!(pair[0].range.end < pair[1].range.end, "{seed}: {pieces:?}");
        }
        for Piece { range, .. } in &pieces {
            let passage = text.get(range.clone());
            assert!(passage.is_some_and(|p| !p.is_empty() && p.trim() == p), "{seed}: {range:?}");
            assert!(range.len() <= sizes.target.max(4), "{seed}: {range:?} of {sizes:?}");
            covered[range.clone()].fill(true);
        }
        let lost = text.char_indices().find(|(at, c)| !c.is_whitespace() && !covered[*at]);
        assert_eq!(lost, None, "{seed}: {text:?} {outline:?} {pieces:?}");
    }
}
