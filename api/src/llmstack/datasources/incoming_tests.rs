use super::*;
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use serde_json::json;

fn body(fields: Value) -> Fields {
    fields.as_object().cloned().unwrap_or_default().into()
}

/// The names and the text of what is drafted.
fn drafted(kind: Type, fields: Value) -> Vec<(String, String)> {
    let Ok(drafts) = drafts(kind, &body(fields)) else { return vec![] };
    let text = |draft: Draft| (draft.name, String::from_utf8_lossy(&draft.bytes).into_owned());
    drafts.into_iter().map(text).collect()
}

async fn refused(kind: Type, fields: Value) -> String {
    let Err(fault) = drafts(kind, &body(fields)) else { return "taken".to_owned() };
    let response = fault.into_response();
    assert_eq!(response.status(), 400);
    let bytes = response.into_body().collect().await.map(|body| body.to_bytes());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn what_belongs_to_the_type_goes_before_what_else_is_there() {
    let all =
        json!({"entry_data": {"name": "n", "content": "c", "url": "a.example", "file": "aGk="}});
    for (kind, found) in [
        (Type::Text, pair("n", "c")),
        (Type::Url, pair("https://a.example", "https://a.example")),
        (Type::Pdf, pair("n", "hi")),
        (Type::File, pair("n", "hi")),
    ] {
        assert_eq!(drafted(kind, all.clone()), [found], "{kind:?}");
    }
    let file = json!({"source_data": {"file": "data:text/plain;name=p.txt;base64,aGk="}});
    assert_eq!(drafted(Type::Text, file), [pair("p.txt", "hi")]);
    assert_eq!(
        drafted(Type::Pdf, json!({"entry_data": {"content": "c"}})),
        [pair("Untitled", "c")]
    );
}

#[test]
fn one_value_may_be_several_entries() {
    let urls = |value: Value| drafted(Type::Url, json!({"entry_data": {"urls": value}})).len();
    assert_eq!(urls(json!("a.example, https://b.example\nc.example,")), 3);
    assert_eq!(urls(json!(["a.example", "b.example"])), 2);
    let comma = json!({"entry_data": {"url": "https://a.example/x,y"}});
    assert_eq!(drafted(Type::Url, comma)[0].0, "https://a.example/x,y");
    let files = "data:text/plain;name=a|b.txt;base64,aGk=|data:text/plain;name=c.txt;base64,aG8=";
    let files = drafted(Type::File, json!({"entry_data": {"file": files}}));
    assert_eq!(files, [pair("a|b.txt", "hi"), pair("c.txt", "ho")]);
    let broken = json!({"entry_data": {"name": "n", "file": "aG\nk=\n"}});
    assert_eq!(drafted(Type::File, broken), [pair("n", "hi")]);
}

#[test]
fn metadata_get_their_prefix_and_keep_their_types() {
    let said = json!({"region": "eu", "year": 2024, "open": true, "none": null});
    let fields = json!({"entry_data": {"content": "c"}, "entry_metadata": said});
    let drafts = drafts(Type::Text, &body(fields)).unwrap_or_default();
    let said = serde_json::to_value(&drafts[0].metadata).unwrap_or_default();
    assert_eq!(said, json!({"md_region": "eu", "md_year": 2024, "md_open": true}));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let text = Type::Text;
    for (fields, said) in [
        (json!({}), "No entry_data provided"),
        (json!({"entry_data": {}}), "No entry_data provided"),
        (json!({"entry_data": null}), "No entry_data provided"),
        (json!({"entry_data": {"name": "n", "content": " "}}), "No entry_data provided"),
        (json!({"source_data": {}}), "No source_data provided"),
        (json!({"content": "beside"}), "No entry_data provided"),
        (json!({"entry_data": "c"}), "entry_data: an object is needed"),
        (json!({"entry_data": {"content": 7}}), "content: a text is needed"),
        (json!({"entry_data": {"file": "data:text/plain;base64,aGk="}}), "Invalid data URI"),
        (json!({"entry_data": {"file": "!"}}), "Invalid data URI"),
        (json!({"entry_data": {"url": "https://u:p@a.example"}}), "name and password"),
        (json!({"entry_data": {"content": "c"}, "entry_metadata": {"a": [1]}}), "entry_metadata.a"),
        (json!({"entry_data": {"content": "c"}, "entry_metadata": [1]}), "entry_metadata"),
        (json!({"entry_data": {"content": "c"}, "entry_metadata": {"a": "\0"}}), "metadata"),
    ] {
        let answer = refused(text, fields.clone()).await;
        assert!(
            answer.starts_with("{\"errors\":[\"") && answer.contains(said),
            "{fields}: {answer}"
        );
    }
    let external = refused(Type::Weaviate, json!({"entry_data": {"content": "c"}})).await;
    assert_eq!(external, "{\"errors\":[\"Cannot add entry to external data source\"]}");
    let many = vec!["a.example"; MAX_FILES + 1].join(",");
    assert!(refused(text, json!({"entry_data": {"urls": many}})).await.contains("At most 50"));
}
