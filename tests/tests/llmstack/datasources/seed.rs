//! What the public pages say, word for word.

use super::{found, searcher};
use crate::room::{Room, answer, yaml};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_bodies_of_the_public_pages_work_as_they_stand() {
    let room = Room::open().await.unwrap();
    let ann = &room.ann;
    // An app, by YAML; changed by YAML; run.
    let app = "name: Seed\ntype_slug: web\nprocessors:\n  - id: e\n    provider_slug: promptly\n    \
               processor_slug: echo\n    input: {input_str: '{{ _inputs0.a }}'}\n";
    let (status, app) = answer(yaml(ann, Method::POST, "/api/apps", app)).await.unwrap();
    assert_eq!(status, 201, "{app}");
    let path = format!("/api/apps/{}", app["uuid"].as_str().unwrap());
    let change = "output_template:\n  markdown: 'Got {{ e.output_str }}'\n";
    assert_eq!(answer(yaml(ann, Method::PATCH, &path, change)).await.unwrap().0, 201);
    let body = "{\n\"input\": {\"a\": \"x\"},\n\"stream\": false\n}";
    let sent = |path: &str, body: &'static str| {
        ann.post(path).header("content-type", "application/json").body(body)
    };
    let (status, said) = answer(sent(&format!("{path}/run"), body)).await.unwrap();
    assert_eq!((status, &said["output"]), (200, &json!("Got x")), "{said}");
    assert!(said["session"]["id"].is_string(), "{said}");

    // A datasource.
    let body = "{\n\"name\": \"Seed\",\n\"type\": \"text\"\n}";
    let (status, made) = answer(sent("/api/datasources", body)).await.unwrap();
    assert_eq!(status, 201, "{made}");
    for key in ["uuid", "name", "type", "created_at", "updated_at"] {
        assert!(!made[key].is_null(), "{key} {made}");
    }
    let uuid = made["uuid"].as_str().unwrap();
    let (status, list) = answer(ann.get("/api/datasources")).await.unwrap();
    assert_eq!((status, &list), (200, &json!([made])));

    // An entry, with every field there is.
    let entries = format!("/api/datasources/{uuid}/entries");
    let body = r#"{
"entry_data": {
"name": "Seed entry",
"content": "Parcels are sent on Tuesdays.",
"url": "https://localhost:1/never-fetched",
"file": "UmV0dXJuIHdpbmRvdyBpcyAzMCBkYXlzLg=="
},
"entry_metadata": {
"key1": "value1",
"key2": "value2"
}
}"#;
    let (status, said) = answer(sent(&entries, body)).await.unwrap();
    assert_eq!((status, &said["status"]), (200, &json!("success")), "{said}");
    let entry = &said["entries"][0];
    assert_eq!((&entry["name"], &entry["status"]), (&json!("Seed entry"), &json!("READY")));
    assert_eq!(
        entry["config"]["input"]["metadata"],
        json!({"md_key1": "value1", "md_key2": "value2"})
    );
    let app = searcher(ann, &json!([uuid])).await.unwrap();
    let parcels = ["Parcels are sent on Tuesdays."];
    assert_eq!(found(ann, &app, "parcels", "md_key1 == value1").await.unwrap(), parcels);

    let (status, list) = answer(ann.get(&entries)).await.unwrap();
    assert_eq!((status, list.as_array().unwrap().len()), (200, 1));
    let path = format!("{entries}/{}", entry["uuid"].as_str().unwrap());
    let gone = answer(ann.request(Method::DELETE, &path)).await.unwrap();
    assert_eq!(gone, (202, serde_json::Value::Null));
    assert!(found(ann, &app, "parcels", "").await.unwrap().is_empty());
    assert_eq!(answer(ann.get(&entries)).await.unwrap(), (200, json!([])));
    let gone = ann.request(Method::DELETE, &format!("/api/datasources/{uuid}"));
    assert_eq!(answer(gone).await.unwrap(), (204, serde_json::Value::Null));
    assert_eq!(answer(ann.get("/api/datasources")).await.unwrap(), (200, json!([])));
    let missing = json!({"detail": "No DataSource matches the given query."});
    assert_eq!(answer(ann.get(&entries)).await.unwrap(), (404, missing));
    room.close().await.unwrap();
}
