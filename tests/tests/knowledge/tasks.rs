//! Uploads, their documents, and reading them again: reply and events.

use annals_tests::{
    app::{Person, TestApp},
    audit::audit,
    files,
    form::Form,
    process::eventually,
};
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BASE: &str = "/api/knowledge-base";

struct Desk {
    app: TestApp,
    ann: Person,
    shelf: String,
}

impl Desk {
    async fn open(kind: &str) -> Result<Self> {
        let app = TestApp::start().await?;
        let ann = app.user("ann", Role::Creator).await?;
        let mut desk = Self { app, ann, shelf: String::new() };
        let (_, added) = desk.post("/add", json!({"name": "Docs", "type": kind})).await?;
        desk.shelf = added["data"]["kdb_id"].as_str().context("an id")?.to_owned();
        Ok(desk)
    }

    async fn send(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value)> {
        let request = person.request(method, &format!("{BASE}{path}"));
        let request = request.header("accept-language", "en");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    async fn post(&self, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.send(&self.ann, Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let (status, answer) = self.send(&self.ann, Method::GET, path, None).await?;
        anyhow::ensure!(status == StatusCode::OK, "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    async fn upload_as(&self, person: &Person, form: Form) -> Result<(StatusCode, Value)> {
        let form = form.text("kdb_id", &self.shelf);
        let request = person.post(&format!("{BASE}/doc/add_by_files"));
        let request = request.header("accept-language", "en");
        let request = request.header("content-type", form.media_type()).body(form.end());
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    async fn upload(&self, form: Form) -> Result<(StatusCode, Value)> {
        self.upload_as(&self.ann, form).await
    }

    /// An upload that is taken, once all its documents are done with: its id.
    async fn ingest(&self, form: Form) -> Result<String> {
        let (status, answer) = self.upload(form).await?;
        anyhow::ensure!(status == StatusCode::OK, "{answer}");
        let task = answer["data"]["taskId"].as_str().context("a task")?.to_owned();
        self.done(&task).await?;
        Ok(task)
    }

    async fn done(&self, task: &str) -> Result<Value> {
        let path = format!("/doc/task_process?kdb_id={}&task_id={task}", self.shelf);
        eventually("the end of an upload", async || {
            let now = self.get(&path).await?;
            let busy = now["waiting"] != 0 || now["inProgress"] != 0;
            Ok((!busy).then_some(now))
        })
        .await
    }

    /// The documents, by name: id and status.
    async fn documents(&self) -> Result<Vec<(String, String, i64)>> {
        let found = self.get(&format!("/doc/list?kdb_id={}", self.shelf)).await?;
        let list = found["list"].as_array().context("a list")?;
        let mut all = Vec::new();
        for document in list {
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            all.push((
                text("doc_name"),
                text("id"),
                document["status"].as_i64().context("a status")?,
            ));
        }
        all.sort();
        Ok(all)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.documents().await?.into_iter().map(|(name, ..)| name).collect())
    }

    async fn found(&self, query: &str) -> Result<Vec<String>> {
        let ask = json!({"kdb_id": self.shelf, "query": query});
        let (_, answer) = self.post("/retrieve", ask).await?;
        let results = answer["data"]["results"].as_array().context("results")?;
        Ok(results.iter().filter_map(|hit| Some(hit["doc_content"].as_str()?.to_owned())).collect())
    }

    /// How many events of this type there are.
    async fn events(&self, kind: &str) -> Result<i64> {
        let count = sqlx::query_scalar("select count(*) from events where type = $1").bind(kind);
        Ok(count.fetch_one(&self.app.app.db).await?)
    }

    /// The end, once log and read models have been compared.
    async fn stop(self) -> Result<()> {
        self.app.settled().await?;
        audit(&self.app.database_url()).await?;
        self.app.stop().await
    }
}

#[tokio::test]
async fn the_same_file_is_refused_and_override_replaces_by_name() -> Result<()> {
    let desk = Desk::open("rag").await?;
    desk.ingest(Form::default().file("a.txt", "Tea is green.").file("b.txt", "Milk is white."))
        .await?;

    let again = Form::default().file("new.txt", "Coffee.").file("c.txt", "Tea is green.");
    let (status, answer) = desk.upload(again).await?;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!(409)));
    assert_eq!(answer["message"], "File c.txt is a duplicate: the same file as a.txt");
    let twice = Form::default().file("x.txt", "Same.").file("y.txt", "Same.");
    assert_eq!(desk.upload(twice).await?.0, StatusCode::CONFLICT);
    assert_eq!(desk.names().await?, ["a.txt", "b.txt"]);
    assert_eq!(desk.events("FilesAccepted").await?, 1);

    let newer = Form::default().text("override", "True").file("a.txt", "Tea is black.");
    desk.ingest(newer).await?;
    assert_eq!(desk.names().await?, ["a.txt", "b.txt"]);
    let found = desk.found("tea").await?;
    assert!(found.iter().any(|text| text == "Tea is black."), "{found:?}");
    assert!(!found.iter().any(|text| text == "Tea is green."), "{found:?}");
    assert_eq!(desk.events("DocumentDeleted").await?, 1);
    desk.stop().await
}

#[tokio::test]
async fn a_failed_file_may_come_again_and_empty_ones_say_so() -> Result<()> {
    let desk = Desk::open("rag").await?;
    let half = || {
        let whole = files::docx(&[files::Part::Text("text")]);
        Form::default()
            .file("half.docx", &whole[..whole.len() / 2])
            .file("a.md", "")
            .file("b.md", "")
    };
    let task = desk.ingest(half()).await?;
    let task_again = desk.ingest(half()).await?;
    assert_ne!(task, task_again);
    let list = desk.get(&format!("/doc/list?kdb_id={}&task_id={task}", desk.shelf)).await?;
    let mut reasons: Vec<&str> = Vec::new();
    for document in list["list"].as_array().context("a list")? {
        assert_eq!(document["status"], 3);
        reasons.push(document["metadata"]["error"].as_str().context("a reason")?);
    }
    reasons.sort_unstable();
    let damaged = "the Word file is damaged or incomplete";
    assert_eq!(reasons, [damaged, "the file is empty", "the file is empty"]);
    desk.stop().await
}

#[tokio::test]
async fn names_are_unicode_or_refused() -> Result<()> {
    let desk = Desk::open("rag").await?;
    let encoded = b"name=\"files\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.txt";
    desk.ingest(Form::default().raw(encoded, b"one").file("知识.txt", "two")).await?;
    assert_eq!(desk.names().await?, ["报告.txt", "知识.txt"]);
    let gb = b"name=\"files\"; filename=\"\xb1\xa8.txt\"";
    let (status, answer) = desk.upload(Form::default().raw(gb, b"three")).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["message"], "The name of a file is not UTF-8");
    assert_eq!(desk.names().await?.len(), 2);
    desk.stop().await
}

#[tokio::test]
async fn documents_are_read_again_one_an_upload_or_all() -> Result<()> {
    let desk = Desk::open("rag").await?;
    let first = desk.ingest(Form::default().file("a.txt", "Tea.").file("b.txt", "Milk.")).await?;
    desk.ingest(Form::default().file("c.txt", "Coffee.")).await?;
    let ingested = async || desk.events("DocumentIngested").await;
    assert_eq!(ingested().await?, 3);

    let documents = desk.documents().await?;
    let id = &documents[0].1;
    let (status, answer) =
        desk.send(&desk.ann, Method::PUT, &format!("/doc/redo/{id}"), None).await?;
    assert_eq!((status, &answer["data"]["success"]), (StatusCode::OK, &json!(true)));
    assert_eq!(answer["data"]["user_id"], json!(desk.ann.user));
    eventually("one more", async || Ok((ingested().await? == 4).then_some(()))).await?;

    let body = json!({"kdb_id": desk.shelf, "task_id": first});
    assert_eq!(desk.post("/doc/task_redo", body).await?.0, StatusCode::OK);
    eventually("two more", async || Ok((ingested().await? == 6).then_some(()))).await?;
    assert_eq!(desk.post("/redo_all", json!({"kdb_id": desk.shelf})).await?.0, StatusCode::OK);
    eventually("three more", async || Ok((ingested().await? == 9).then_some(()))).await?;
    desk.done(&first).await?;
    let statuses: Vec<i64> =
        desk.documents().await?.into_iter().map(|(.., status)| status).collect();
    assert_eq!(statuses, [2, 2, 2]);
    assert_eq!(desk.found("tea").await?.iter().filter(|text| *text == "Tea.").count(), 1);

    // One that is not there for the caller: no failure, no owner, no event.
    let bob = desk.app.user("bob", Role::Creator).await?;
    for (person, id) in [(&desk.ann, "0".repeat(32)), (&bob, id.clone())] {
        let (status, answer) =
            desk.send(person, Method::PUT, &format!("/doc/redo/{id}"), None).await?;
        let expected = json!({"success": true, "user_id": ""});
        assert_eq!((status, &answer["data"]), (StatusCode::OK, &expected));
    }
    assert_eq!(desk.events("RereadRequested").await?, 6);
    desk.stop().await
}

#[tokio::test]
async fn a_cleared_knowledge_base_is_empty_and_takes_new_files() -> Result<()> {
    let desk = Desk::open("rag").await?;
    desk.ingest(Form::default().file("a.txt", "Tea.")).await?;
    let (status, _) = desk.post("/clear", json!({"kdb_id": desk.shelf})).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((desk.names().await?.len(), desk.found("tea").await?.len()), (0, 0));
    let info = desk.get("/list").await?;
    assert_eq!((&info["list"][0]["docNum"], &info["total"]), (&json!(0), &json!(1)));
    desk.ingest(Form::default().file("a.txt", "Tea.")).await?;
    assert_eq!(desk.found("tea").await?, ["Tea."]);
    eventually("the end of the cleared document", async || {
        Ok((desk.events("DocumentDeleted").await? == 1).then_some(()))
    })
    .await?;
    assert_eq!(desk.found("tea").await?, ["Tea."]);
    desk.stop().await
}

#[tokio::test]
async fn an_update_changes_what_is_given() -> Result<()> {
    let desk = Desk::open("rag").await?;
    let setting = json!({"kdbAttach": {"language": "en"}, "more": [1]});
    let body = json!({"kdb_id": desk.shelf, "name": "", "intro": "New", "kdb_setting": setting});
    let (status, answer) = desk.post("/update", body).await?;
    let expected = json!({"success": true, "user_id": desk.ann.user});
    assert_eq!((status, &answer["data"]), (StatusCode::OK, &expected));
    let info = desk.get(&format!("/info?kdb_id={}", desk.shelf)).await?;
    assert_eq!(
        (&info["name"], &info["intro"], &info["kdbSetting"]),
        (&json!("Docs"), &json!("New"), &setting)
    );
    let (status, _) =
        desk.post("/update", json!({"kdb_id": desk.shelf, "kdb_setting": [1]})).await?;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(desk.events("KnowledgeBaseConfigured").await?, 1);
    desk.stop().await
}

#[tokio::test]
async fn questions_and_answers_are_found_row_by_row() -> Result<()> {
    let desk = Desk::open("qa").await?;
    let table = files::xlsx(
        "Q",
        &[&["question", "answer"], &["What is green?", "Tea."], &["White?", "Milk."]],
    );
    desk.ingest(Form::default().file("qa.xlsx", table)).await?;
    let found = desk.found("what is green").await?;
    assert_eq!(found[0], "Question: What is green?\nAnswer: Tea.");
    let documents = desk.documents().await?;
    let info = desk.get(&format!("/doc/info/{}", documents[0].1)).await?;
    assert_eq!(info["type"], "qa");

    for (name, bytes, message) in [
        ("a.txt", "a,b", "A QA knowledge base takes CSV and Excel files only: a.txt"),
        (
            "a.csv",
            "one column",
            "Wrong file format a.csv: a table of questions needs two columns: question and answer",
        ),
        ("a.xlsx", "no", "Wrong file format a.xlsx: the Excel file is damaged or incomplete"),
    ] {
        let (status, answer) = desk.upload(Form::default().file(name, bytes)).await?;
        assert_eq!(
            (status, &answer["message"]),
            (StatusCode::INTERNAL_SERVER_ERROR, &json!(message))
        );
    }
    assert_eq!(desk.events("FilesAccepted").await?, 1);
    desk.stop().await
}

#[tokio::test]
async fn strangers_meet_nothing_and_people_without_login_a_door() -> Result<()> {
    let desk = Desk::open("rag").await?;
    desk.ingest(Form::default().file("a.txt", "Tea.")).await?;
    let document = desk.documents().await?[0].1.clone();
    let (bob, nobody) = (desk.app.user("bob", Role::Creator).await?, desk.app.nobody()?);
    let before: i64 =
        sqlx::query_scalar("select max(position) from events").fetch_one(&desk.app.app.db).await?;
    let shelf = &desk.shelf;
    let body = json!({"kdb_id": shelf, "task_id": "t", "query": "tea", "name": "Mine"});
    let calls = [
        (Method::POST, "/update".to_owned(), "KDB not found"),
        (Method::POST, "/retrieve".to_owned(), "KDB not found"),
        (Method::POST, "/clear".to_owned(), "KDB not found"),
        (Method::POST, "/redo_all".to_owned(), "KDB not found"),
        (Method::POST, "/doc/task_redo".to_owned(), "KDB not found"),
        (Method::GET, format!("/info?kdb_id={shelf}"), "KDB not found"),
        (Method::GET, format!("/doc/list?kdb_id={shelf}"), "KDB not found"),
        (Method::GET, format!("/doc/task_process?kdb_id={shelf}&task_id=t"), "KDB not found"),
        (Method::DELETE, format!("/delete/{shelf}"), "KDB not found"),
        (Method::DELETE, format!("/doc/delete/{document}"), "Document not found"),
    ];
    for (method, path, message) in calls {
        let body = (method == Method::POST).then(|| body.clone());
        let (status, answer) = desk.send(&bob, method.clone(), &path, body.clone()).await?;
        let expected = (StatusCode::INTERNAL_SERVER_ERROR, &json!(message));
        assert_eq!((status, &answer["message"]), expected, "{path}");
        let (status, _) = desk.send(&nobody, method, &path, body).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let form = || Form::default().file("b.txt", "Milk.");
    assert_eq!(desk.upload_as(&bob, form()).await?.1["message"], "KDB not found");
    assert_eq!(desk.upload_as(&nobody, form()).await?.0, StatusCode::UNAUTHORIZED);
    let (_, info) = desk.send(&bob, Method::GET, &format!("/doc/info/{document}"), None).await?;
    assert_eq!(info["data"], Value::Null);
    let (_, list) = desk.send(&bob, Method::GET, "/list", None).await?;
    assert_eq!(list["data"]["total"], 0);
    let after: i64 =
        sqlx::query_scalar("select max(position) from events").fetch_one(&desk.app.app.db).await?;
    assert_eq!(before, after);
    desk.stop().await
}
