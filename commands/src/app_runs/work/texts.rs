//! `promptly/data_uri_text_extract`, `document_reader`, `http_uri_text_extract`, `splitter`: from files and pages to texts.

use super::{
    super::{
        data_url,
        steps::Task,
        template::{self, Context},
    },
    Done, Report, fields, http,
};
use crate::effects::{
    chunk::{Sizes, chunk},
    extract::{Extracted, Reading, reader::File},
};
use reqwest::{Method, Url, header::HeaderMap};
use serde_json::{Map, Value, json};

/// Bytes of a text that a session remembers at most.
const REMEMBERED: usize = 256 << 10;
/// Parts of a text that is split, at most.
const PARTS: usize = 2_000;

/// The text of a file that came with the input, or with an earlier run of the session.
pub(super) async fn file(task: Task) -> Done {
    let sent = fields::some(&task.input, "file").or_else(|| fields::some(&task.input, "file_data"));
    let sent = sent.or_else(|| fields::some(&task.input, "input"));
    let Some(sent) = sent else {
        let remembered = task.memory.as_ref().and_then(|memory| memory["text"].as_str());
        let read = known(remembered.ok_or("there is no file")?);
        task.say(said(&task, &read)).await;
        return Ok(Report::default());
    };
    if sent.starts_with("http://") || sent.starts_with("https://") {
        let read = page(&task, &sent).await?;
        task.say(said(&task, &read)).await;
        return Ok(Report::default());
    }
    let name = fields::text(&task.input, "file_name");
    let file = data_url::read(&sent, &name).ok_or("Invalid data URI")?;
    let (name, mime) = (file.name.clone(), file.media_type.clone());
    let read = text_of(&task, file).await?;
    task.say(said(&task, &read)).await;
    let memory = (read.text.len() <= REMEMBERED)
        .then(|| json!({"text": read.text, "file_name": name, "mime_type": mime}));
    Ok(Report { memory, ..Report::default() })
}

async fn text_of(task: &Task, file: data_url::File) -> Result<Extracted, String> {
    let workshop = task.ports.workshop.as_ref().ok_or("no files are read here")?;
    let data_url::File { name, media_type, bytes } = file;
    let file = File { name, media_type, reading: Reading::Text, bytes: bytes.into() };
    workshop.reader.read(file).await.map_err(|error| error.to_string())
}

/// A text that was read before.
fn known(text: &str) -> Extracted {
    Extracted { text: text.to_owned(), ..Extracted::default() }
}

/// What is said of a text: all of it, or the parts that have most of a query's words.
fn said(task: &Task, read: &Extracted) -> Value {
    let limit = fields::count(&task.config, "document_limit").unwrap_or(0);
    let size = fields::count(&task.config, "text_chunk_size").filter(|size| *size > 0);
    let text = match fields::some(&task.input, "query") {
        Some(query) if limit > 0 => best(read, &query, limit, size.unwrap_or(1_500)),
        _ => read.text.clone(),
    };
    let starts: &[usize] = if read.pages.is_empty() { &[0] } else { &read.pages };
    let ends = starts.iter().skip(1).copied().chain([read.text.len()]);
    let pages = starts.iter().zip(ends).enumerate().map(|(place, (start, end))| {
        json!({"number": place + 1, "text": read.text.get(*start..end).unwrap_or_default().trim()})
    });
    json!({"text": text, "pages": pages.collect::<Vec<Value>>()})
}

fn best(read: &Extracted, query: &str, limit: usize, size: usize) -> String {
    let text = &read.text;
    let wanted: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let pieces = chunk(read, Sizes { target: size.clamp(100, 100_000), overlap: 0 });
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        let lower = text[piece.range.clone()].to_lowercase();
        let hits = wanted.iter().filter(|word| lower.contains(word.as_str())).count();
        ranked.push((usize::MAX - hits, place));
    }
    ranked.sort_unstable();
    ranked.truncate(limit);
    ranked.sort_unstable_by_key(|(_, place)| *place);
    let texts: Vec<&str> =
        ranked.iter().map(|(_, place)| &text[pieces[*place].range.clone()]).collect();
    texts.join("\n\n")
}

/// The text of a page; the session remembers the last one.
pub(super) async fn url(task: Task) -> Done {
    let remembered = task.memory.as_ref().and_then(|memory| memory["text"].as_str());
    let Some(url) = fields::some(&task.input, "url") else {
        let read = known(remembered.ok_or("url is missing")?);
        task.say(said(&task, &read)).await;
        return Ok(Report::default());
    };
    let same = task.memory.as_ref().is_some_and(|memory| memory["url"].as_str() == Some(&url));
    let read = match remembered.filter(|_| same) {
        Some(text) => known(text),
        None => page(&task, &url).await?,
    };
    task.say(said(&task, &read)).await;
    let memory = (read.text.len() <= REMEMBERED).then(|| json!({"url": url, "text": read.text}));
    Ok(Report { memory, ..Report::default() })
}

async fn page(task: &Task, url: &str) -> Result<Extracted, String> {
    let url = Url::parse(url.trim()).map_err(|_| "not a URL")?;
    let (headers, seconds) = (HeaderMap::new(), 30.0);
    let call =
        http::Call { method: Method::GET, url, headers, body: None, seconds, redirects: true };
    let fetched = http::send(task, call).await?;
    if fetched.status >= 400 {
        return Err(format!("the page answered {}", fetched.status));
    }
    let (name, media_type) = (fetched.url.path().to_owned(), fetched.content_type);
    let (media_type, bytes) = (media_type.unwrap_or_default(), fetched.body.to_vec());
    text_of(task, data_url::File { name, media_type, bytes }).await
}

/// Splits a text into parts, and makes an object of each.
pub(super) async fn split(task: Task) -> Done {
    let text = match fields::some(&task.input, "content") {
        Some(text) => text,
        None => match fields::some(&task.input, "content_uri") {
            Some(uri) if uri.starts_with("data:") => {
                let file = data_url::read(&uri, "").ok_or("Invalid data URI")?;
                text_of(&task, file).await?.text
            }
            Some(uri) => page(&task, &uri).await?.text,
            None => String::new(),
        },
    };
    let strategy = task.config.get("merge_strategy").cloned().unwrap_or_default();
    let wanted = task.config.get("output_schema").map(|schema| schema["fields"].clone());
    let wanted: Vec<Value> =
        wanted.and_then(|fields| fields.as_array().cloned()).unwrap_or_default();
    let parts = tokio::task::spawn_blocking(move || {
        let parts: Vec<String> = parts(&text, &strategy).into_iter().take(PARTS).collect();
        parts.iter().map(|part| object(part, &wanted)).collect::<Vec<Value>>()
    });
    let parts = parts.await.map_err(|_| "the text cannot be split".to_owned())?;
    let text = Value::from(parts.clone()).to_string();
    task.say(json!({"outputs": parts, "outputs_text": text})).await;
    Ok(Report::default())
}

fn parts(text: &str, strategy: &Value) -> Vec<String> {
    let number = |name: &str, usual: usize| {
        let fields = strategy.as_object().cloned().unwrap_or_default();
        fields::count(&fields, name).unwrap_or(usual)
    };
    if matches!(strategy["type"].as_str(), None | Some("NoStrategy" | "")) {
        let paragraphs = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
        return paragraphs.map(str::to_owned).collect();
    }
    let target = number("max_characters", 2_000).min(number("new_after_n_chars", 2_000));
    let target = target.clamp(50, 1 << 20);
    let overlap = number("overlap", 100).min(target / 2);
    let pieces = chunk(&known(text), Sizes { target, overlap });
    pieces.into_iter().map(|piece| text[piece.range].to_owned()).collect()
}

fn object(part: &str, wanted: &[Value]) -> Value {
    if wanted.is_empty() {
        return json!({ "text": part });
    }
    let mut context = Context::default();
    context.set("_splitter_item", &part.into());
    let mut object = Map::new();
    for field in wanted {
        let name = field["name"].as_str().unwrap_or_default();
        let value = field["value"].as_str().unwrap_or("{{_splitter_item}}");
        object.insert(name.to_owned(), template::render(value, &context).into());
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_by_paragraphs_or_by_size() {
        let text = "One.\n\nTwo two.\n\n\nThree.";
        assert_eq!(parts(text, &Value::Null), ["One.", "Two two.", "Three."]);
        let long = "word ".repeat(400);
        let sized =
            parts(&long, &json!({"type": "BasicStrategy", "max_characters": 500, "overlap": "0"}));
        assert!(sized.len() >= 4 && sized.iter().all(|part| part.len() <= 500), "{}", sized.len());
    }

    #[test]
    fn each_part_becomes_an_object() {
        let wanted =
            [json!({"name": "t", "value": "<{{_splitter_item}}>"}), json!({"name": "raw"})];
        assert_eq!(object("x", &wanted), json!({"t": "<x>", "raw": "x"}));
        assert_eq!(object("x", &[]), json!({"text": "x"}));
    }

    #[test]
    fn the_parts_with_most_words_are_kept_in_order() {
        let text = format!(
            "{}\n\nthe cat sat\n\n{}\n\na cat and a dog",
            "x ".repeat(100),
            "y ".repeat(100)
        );
        let found = best(&known(&text), "cat dog", 2, 100);
        assert!(
            found.contains("sat") && found.contains("dog") && !found.contains("y y"),
            "{found}"
        );
    }
}
