//! A test collection: documents, questions, and who judged which document to answer which question.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

/// Longest line read, in bytes.
const LONGEST_LINE: usize = 16 << 20;

/// A test collection.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    /// The documents, in their file's order.
    pub documents: Vec<Text>,
    /// The questions that somebody judged a document to answer, in their file's order.
    pub questions: Vec<Text>,
    /// By question and document, how well it answers; only grades above 0.
    pub grades: BTreeMap<String, HashMap<String, u32>>,
}

/// A document or a question.
#[derive(Debug, Clone, Deserialize)]
pub struct Text {
    /// Its name in the judgements and in run files: one word.
    #[serde(alias = "_id", alias = "doc_id", alias = "docid", alias = "query_id", alias = "qid")]
    pub id: String,
    /// Its heading; questions have none.
    #[serde(default)]
    pub title: String,
    /// What it says.
    #[serde(alias = "contents", alias = "query")]
    pub text: String,
}

#[derive(Deserialize)]
struct Judgement {
    #[serde(alias = "query-id", alias = "query_id", alias = "qid")]
    query: String,
    #[serde(alias = "corpus-id", alias = "corpus_id", alias = "doc_id", alias = "docid")]
    document: String,
    #[serde(alias = "score", alias = "relevance")]
    grade: i64,
}

impl Collection {
    /// Reads JSON lines: documents `{"id", "title", "text"}`, questions `{"id", "text"}`, judgements
    /// `{"query-id", "corpus-id", "score"}`. Judgements may also be in the columns of TREC or BEIR.
    ///
    /// # Errors
    /// With file and line.
    pub fn read(corpus: &Path, queries: &Path, qrels: &Path) -> Result<Self> {
        let documents: Vec<Text> = lines(corpus, parse)?;
        let questions: Vec<Text> = lines(queries, parse)?;
        let judgements = lines(qrels, judgement)?;
        let mut known = HashSet::new();
        for Text { id, .. } in &documents {
            if id.is_empty() || id.contains(char::is_whitespace) || !known.insert(id.as_str()) {
                bail!("{}: the id {id:?} is no single word, or there twice", corpus.display());
            }
        }
        let mut grades: BTreeMap<String, HashMap<String, u32>> = BTreeMap::new();
        for Judgement { query, document, grade } in judgements.into_iter().flatten() {
            if let Some(grade) = u32::try_from(grade).ok().filter(|grade| *grade > 0) {
                grades.entry(query).or_default().insert(document, grade);
            }
        }
        let questions: Vec<Text> =
            questions.into_iter().filter(|question| grades.contains_key(&question.id)).collect();
        if documents.is_empty() || questions.is_empty() {
            bail!("there is no document, or no question with a judgement");
        }
        Ok(Self { documents, questions, grades })
    }
}

fn lines<T>(path: &Path, parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
    let mut found = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("{name}, line {}", number + 1))?;
        if line.len() > LONGEST_LINE {
            bail!("{name}, line {}: longer than {LONGEST_LINE} bytes", number + 1);
        }
        if !line.trim().is_empty() {
            found.push(parse(&line).with_context(|| format!("{name}, line {}", number + 1))?);
        }
    }
    Ok(found)
}

fn parse<T: DeserializeOwned>(line: &str) -> Result<T> {
    Ok(serde_json::from_str(line)?)
}

/// A line of judgements; `None` for a heading.
fn judgement(line: &str) -> Result<Option<Judgement>> {
    if line.trim_start().starts_with('{') {
        return parse(line).map(Some);
    }
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (query, document, grade) = match columns[..] {
        [query, _, document, grade] | [query, document, grade] => (query, document, grade),
        _ => bail!("neither JSON nor three or four columns"),
    };
    if query == "query-id" {
        return Ok(None);
    }
    let grade = grade.parse().context("the grade is no number")?;
    Ok(Some(Judgement { query: query.to_owned(), document: document.to_owned(), grade }))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn judgements_come_in_three_spellings() {
        for line in [r#"{"query-id": "q", "corpus-id": "d", "score": 2}"#, "q 0 d 2", "q\td\t2"] {
            let found = judgement(line).unwrap().unwrap();
            assert_eq!((&*found.query, &*found.document, found.grade), ("q", "d", 2));
        }
        assert!(judgement("query-id\tcorpus-id\tscore").unwrap().is_none());
        assert!(judgement("q d").is_err() && judgement("q 0 d x").is_err());
    }
}
