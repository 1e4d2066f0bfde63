//! Tables of questions and answers: every row is a passage.

use super::{
    Extracted, PARTS, Source, Unreadable, csv,
    draft::Draft,
    encoding, sheet,
    sniff::{self, Format},
};

/// Rows whose columns are looked at before a table is taken.
const LOOKED_AT: usize = 10;
/// What columns are called, in lower case: questions, answers.
const NAMES: [[&str; 8]; 2] = [
    ["question", "questions", "q", "query", "问题", "问", "提问", "标题"],
    ["answer", "answers", "a", "response", "答案", "答", "回答", "内容"],
];

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    question: String,
    answer: String,
}

pub(super) fn extract(source: &Source<'_>) -> Result<Extracted, Unreadable> {
    let rows = match sniff::sniff(source)? {
        Format::Sheet(kind) => sheet::all_rows(source.bytes, kind)?,
        Format::Csv(separator) => {
            let text = encoding::decode(source.bytes, None)?;
            csv::rows(&text, separator).take(PARTS + 2).collect()
        }
        _ => return Err(Unreadable::NoQuestions("not a CSV or Excel file".into())),
    };
    let pairs = pairs(rows)?;
    if pairs.len() > PARTS {
        return Err(Unreadable::TooManyRows);
    }
    let mut draft = Draft::of("text/x-questions");
    for Pair { question, answer } in pairs {
        draft.own_row(&format!("Question: {question}\nAnswer: {answer}"));
    }
    Ok(draft.finish())
}

fn pairs(rows: Vec<Vec<String>>) -> Result<Vec<Pair>, Unreadable> {
    let filled = |row: &Vec<String>| row.iter().any(|cell| !cell.trim().is_empty());
    let rows: Vec<Vec<String>> = rows.into_iter().filter(filled).collect();
    let first = rows.first().ok_or(Unreadable::NoText)?;
    if rows.iter().take(LOOKED_AT).any(|row| row.len() < 2) {
        return Err(Unreadable::NoQuestions(
            "a table of questions needs two columns: question and answer".into(),
        ));
    }
    let column = |names: &[&str; 8]| {
        first.iter().position(|cell| names.contains(&cell.trim().to_lowercase().as_str()))
    };
    let [questions, answers] = NAMES.each_ref().map(column);
    let (question, answer, titled) = match (questions, answers) {
        (Some(question), Some(answer)) => (question, answer, true),
        _ => (0, 1, false),
    };
    let cell = |row: &[String], n: usize| row.get(n).map(|cell| cell.trim().to_owned());
    let pair = |row: &Vec<String>| Pair {
        question: cell(row, question).unwrap_or_default(),
        answer: cell(row, answer).unwrap_or_default(),
    };
    let pairs = rows.iter().skip(usize::from(titled)).map(pair);
    Ok(pairs.filter(|pair| !pair.question.is_empty() && !pair.answer.is_empty()).collect())
}
