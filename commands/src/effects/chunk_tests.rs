use super::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const SMALL: Sizes = Sizes { target: 40, overlap: 15 };

fn read(text: &str, outline: &[Heading]) -> Extracted {
    Extracted { text: text.to_owned(), outline: outline.to_vec(), ..Extracted::default() }
}

fn texts<'a>(text: &'a str, outline: &[Heading], sizes: Sizes) -> Vec<&'a str> {
    chunk(&read(text, outline), sizes).into_iter().map(|piece| &text[piece.range]).collect()
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
    let found: Vec<_> = chunk(&read(text, &outline), SMALL)
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

fn random_lines(rng: &mut StdRng, text: &str) -> Vec<Range<usize>> {
    let start = text.ceil_char_boundary(rng.random_range(0..=text.len()));
    let end = text.ceil_char_boundary(rng.random_range(start..=text.len()));
    Vec::from_iter((start < end).then_some(start..end))
}

#[test]
fn rows_of_tables_and_lines_of_code_stay_whole() {
    let text = "Prose. More prose here.\n\nAnn | 3.5. | yes. | a\nBob | 4.5. | no. | b\n";
    let table = text.find("Ann").unwrap_or_default();
    let read = Extracted { lines: Vec::from_iter(Some(table..text.len())), ..read(text, &[]) };
    let sizes = Sizes { target: 30, overlap: 25 };
    let found: Vec<_> = chunk(&read, sizes).into_iter().map(|piece| &text[piece.range]).collect();
    assert_eq!(found, ["Prose. More prose here.", "Ann | 3.5. | yes. | a", "Bob | 4.5. | no. | b"]);
}

#[test]
fn passages_know_their_page_and_row() {
    let text = "One.\n\nTwo.\n\nThree.";
    let pages = vec![0, 6];
    let read = Extracted { pages, ..read(text, &[]) };
    let found = chunk(&read, Sizes { target: 6, overlap: 0 });
    let pages: Vec<_> = found.iter().map(|piece| (piece.page, piece.row)).collect();
    assert_eq!(pages, [(Some(1), None), (Some(2), None), (Some(2), None)]);
    let read = Extracted { rows: vec![0..4, 6..10], pages: Vec::new(), ..read };
    let found = chunk(&read, Sizes { target: 2, overlap: 0 });
    let rows: Vec<_> = found.iter().map(|piece| (piece.page, piece.row)).collect();
    assert_eq!(rows, [0, 0, 1, 1].map(|row| (None, Some(row))));
}

#[test]
fn whatever_the_text_passages_are_its_bytes_in_order_and_nothing_is_lost() {
    for seed in 0..3_000 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let text = random_text(rng);
        let outline = random_outline(rng, &text);
        let sizes = Sizes { target: rng.random_range(4..80), overlap: rng.random_range(0..40) };
        let lines = random_lines(rng, &text);
        let pieces = chunk(&Extracted { lines, ..read(&text, &outline) }, sizes);
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

#[test]
fn endless_blank_lines_are_looked_at_once() {
    let text = format!("One.\n{}Two.", "\n".repeat(1 << 20));
    assert_eq!(texts(&text, &[], SMALL), ["One.", "Two."]);
}
