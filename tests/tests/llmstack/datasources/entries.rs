//! Entries in all the forms in which they come, and how they go.

use super::{added, datasource, found, searcher, text};
use crate::room::{Room, answer};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

fn file(name: &str, kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};name={name};base64,{}", STANDARD.encode(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_many_forms() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("file")).await?;
    let txt = file("policy.txt", "text/plain", b"Apples keep for weeks.");
    let csv = file("a|b.csv", "text/csv", b"fruit,days\npear,9\n");
    let add = async |data: Value| added(ann, &uuid, &json!({ "entry_data": data })).await;
    let one = add(json!({ "file": txt })).await?;
    assert_eq!((&one[0]["name"], &one[0]["status"]), (&json!("policy.txt"), &json!("READY")));
    let two = add(json!({"file": format!("{txt}|{csv}")})).await?;
    let names: Vec<&Value> = two.iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["policy.txt", "a|b.csv"], "the same file may come again");
    let bare = add(json!({"name": "Bare", "file": STANDARD.encode("Bananas rot.")})).await?;
    assert_eq!((&bare[0]["name"], &bare[0]["status"]), (&json!("Bare"), &json!("READY")));
    let noted = add(json!({"name": "looks-like.pdf", "content": "Cherries are red."})).await?;
    assert_eq!(noted[0]["status"], "READY", "{noted:?}");
    let broken =
        add(json!({"file": file("x.pdf", "application/pdf", b"%PDF-1.7 nothing")})).await?;
    assert_eq!(broken[0]["status"], "FAILED");
    let reason = broken[0]["config"]["errors"]["message"].as_str().unwrap_or_default();
    assert!(reason.contains("PDF"), "{broken:?}");
    let app = searcher(ann, &json!([uuid])).await?;
    for (query, content) in [("bananas", "Bananas rot."), ("cherries", "Cherries are red.")] {
        assert_eq!(found(ann, &app, query, "").await?, [content]);
    }
    assert_eq!(found(ann, &app, "apples", "file_name == policy.txt").await?.len(), 2);
    // As forms have it: a file beside the fields.
    let part = "--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"form.txt\"\r\n\
                content-type: text/plain; charset=utf-8\r\n\r\nDates are sweet.\r\n\
                --X\r\ncontent-disposition: form-data; name=\"entry_metadata\"\r\n\r\n{\"k\": 1}\r\n--X--\r\n";
    let path = format!("/api/datasources/{uuid}/add_entry");
    let form = ann.post(&path).header("content-type", "multipart/form-data; boundary=X").body(part);
    let (status, said) = answer(form).await?;
    assert_eq!((status, &said["entries"][0]["name"]), (200, &json!("form.txt")), "{said}");
    assert_eq!(found(ann, &app, "dates", "md_k == 1").await?, ["Dates are sweet."]);
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_added_looked_at_and_taken_out_by_both_paths() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("text")).await?;
    let app = searcher(ann, &json!([uuid])).await?;
    let first = text(ann, &uuid, "Lions roar", json!({"n": 1})).await?;
    let body = json!({"source_data": {"name": "Tigers", "content": "Tigers purr"}});
    let path = format!("/api/datasources/{uuid}/add_entry");
    let (status, said) = answer(ann.post(&path).json(&body)).await?;
    assert_eq!((status, &said["status"]), (200, &json!("success")), "{said}");
    let second = said["entries"][0]["uuid"].as_str().unwrap().to_owned();
    let path = format!("/api/datasources/{uuid}/add_entry_async");
    let (status, job) = answer(ann.post(&path).json(&body)).await?;
    assert_eq!(status, 202, "{job}");
    assert_eq!(job["job_id"].as_str().map(str::len), Some(36), "{job}");

    let entries = format!("/api/datasources/{uuid}/entries");
    let (_, list) = answer(ann.get(&entries)).await?;
    let list = list.as_array().unwrap();
    assert_eq!(
        (list.len(), &list[0]["uuid"], &list[1]["uuid"]),
        (3, &json!(first), &json!(second))
    );
    let third = list[2]["uuid"].as_str().unwrap();
    let (_, all) = answer(ann.get("/api/datasource_entries")).await?;
    assert_eq!(all.as_array().unwrap().len(), 3);
    let one = format!("/api/datasource_entries/{first}");
    let (status, entry) = answer(ann.get(&one)).await?;
    assert_eq!((status, &entry["datasource"]["uuid"]), (200, &json!(uuid)));
    assert_eq!(entry["config"]["input"]["metadata"], json!({"md_n": 1}));
    let (_, content) = answer(ann.get(&format!("{one}/text_content"))).await?;
    let said = json!({"content": "Lions roar", "metadata": {"source": "Lions", "md_n": 1}});
    assert_eq!(content, said);
    let (status, again) = answer(ann.post(&format!("{one}/resync"))).await?;
    assert_eq!((status, &again["status"]), (200, &json!("READY")));
    assert_eq!(found(ann, &app, "lions", "").await?, ["Lions roar"]);

    let input = json!({"name": "Lions", "data": "Lions sleep"});
    let body = json!({"datasource_id": uuid, "input_data": input});
    let (status, new) = answer(ann.post("/api/datasource_entries/upsert").json(&body)).await?;
    assert_eq!((status, &new["name"]), (200, &json!("Lions")), "{new}");
    assert_eq!(found(ann, &app, "lions", "").await?, ["Lions sleep"], "what it was is gone");
    assert_eq!(answer(ann.get(&one)).await?.0, 404);

    let delete = async |path: String| answer(ann.request(Method::DELETE, &path)).await;
    assert_eq!(delete(format!("{entries}/{second}")).await?, (202, Value::Null));
    let missing = json!({"detail": "No DataSourceEntry matches the given query."});
    assert_eq!(delete(format!("{entries}/{second}")).await?, (404, missing.clone()));
    assert_eq!(delete(format!("/api/datasource_entries/{third}")).await?, (202, Value::Null));
    assert_eq!(delete(format!("/api/datasource_entries/{third}")).await?, (404, missing));
    assert!(found(ann, &app, "tigers", "").await?.is_empty());
    let other = datasource(ann, json!("text")).await?;
    let new = new["uuid"].as_str().unwrap();
    let elsewhere = delete(format!("/api/datasources/{other}/entries/{new}")).await?;
    assert_eq!(elsewhere.0, 404, "{elsewhere:?}");
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_is_read_in_the_background() -> Result<()> {
    let room = Room::open().await?;
    let ann = &room.ann;
    let uuid = datasource(ann, json!("file")).await?;
    let mut large = "All work and no play makes Jack a dull boy.\n".repeat(25_000);
    large.push_str("\n\nRedrum.\n");
    let data = json!({"file": file("large.txt", "text/plain", large.as_bytes())});
    let entries = added(ann, &uuid, &json!({ "entry_data": data })).await?;
    assert_eq!(entries[0]["status"], "PROCESSING");
    let path = format!("/api/datasource_entries/{}", entries[0]["uuid"].as_str().unwrap());
    annals_tests::process::eventually("it is read", async || {
        let (_, entry) = answer(ann.get(&path)).await?;
        anyhow::ensure!(entry["status"] != "FAILED", "{entry}");
        Ok((entry["status"] == "READY").then_some(()))
    })
    .await?;
    let app = searcher(ann, &json!([uuid])).await?;
    assert_eq!(found(ann, &app, "redrum", "").await?.len(), 1);
    assert_eq!(answer(ann.request(Method::DELETE, &path)).await?.0, 202);
    assert!(found(ann, &app, "redrum", "").await?.is_empty());
    room.close().await
}
