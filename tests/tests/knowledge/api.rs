//! Over HTTP, on a whole node.

use crate::scenario::database_url;
use annals_tests::form::Form;
use api::{compose::Node, config::Config, serve::router};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "a long Passw0rd";

/// A node, its address, and a person.
struct Server {
    node: Node,
    base: String,
    folder: PathBuf,
    token: String,
}

impl Server {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("annals-knowledge-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&folder).unwrap();
        let values = BTreeMap::from([
            ("ANNALS_DATA".to_owned(), folder.display().to_string()),
            ("DATABASE_URL".to_owned(), database_url().await),
            ("ANNALS_ADMIN_PASSWORD".to_owned(), PASSWORD.to_owned()),
        ]);
        let node = Node::start(Config::from_values(values).unwrap()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api", listener.local_addr().unwrap());
        let service = router(node.app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let mut server = Self { node, base, folder, token: String::new() };
        let login = json!({"username_or_email": "admin", "password": PASSWORD});
        let answer = server.post("/auth/login", login).await;
        server.token = answer["data"]["access_token"].as_str().unwrap().to_owned();
        server
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = Client::new().request(method, format!("{}{path}", self.base));
        let request = request.bearer_auth(&self.token).header("accept-language", "en");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "{answer}");
        answer["data"].clone()
    }

    async fn upload(&self, form: Form) -> (u16, Value) {
        let request = Client::new().post(format!("{}/knowledge-base/doc/add_by_files", self.base));
        let request = request.bearer_auth(&self.token).header("accept-language", "en");
        let answer = request
            .header("content-type", form.media_type())
            .body(form.end())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn shelf(&self) -> String {
        let body = json!({"name": "Docs", "type": "rag", "intro": "all", "language": "en"});
        let answer = self.post("/knowledge-base/add", body).await;
        answer["data"]["kdb_id"].as_str().unwrap().to_owned()
    }

    /// Waits until nothing of the upload is left to do.
    async fn done(&self, shelf: &str, task: &str) -> Value {
        let path = format!("/knowledge-base/doc/task_process?kdb_id={shelf}&task_id={task}");
        let done = async {
            loop {
                let progress = self.get(&path).await;
                if progress["waiting"] == 0 && progress["inProgress"] == 0 {
                    return progress;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, done).await.unwrap()
    }

    async fn stop(self) {
        self.node.drain().await;
        self.node.stop().await.unwrap();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn files_are_uploaded_ingested_found_and_removed() {
    let server = Server::start().await;
    let shelf = server.shelf().await;
    // The files come before the knowledge base they are for.
    let form = Form::default()
        .file("a.md", "# Login\nSessions live for 14 days.\n## Tokens\nShown once.")
        .file("../zh.txt", "知识库支持上传文件。")
        .file("bad.txt", vec![0xC3, 0x28, 0, 1])
        .text("override", "false")
        .text("kdb_id", &shelf);
    let (status, answer) = server.upload(form).await;
    assert_eq!(status, 200, "{answer}");
    let task = answer["data"]["taskId"].as_str().unwrap();
    let progress = server.done(&shelf, task).await;
    let expected = json!({"success": 2, "fail": 1, "inProgress": 0, "waiting": 0, "total": 3,
        "taskProcess": 66.0, "user_id": progress["user_id"]});
    assert_eq!(progress, expected);

    let list = format!("/knowledge-base/doc/list?kdb_id={shelf}&query_status=1&query_status=3");
    let failed = server.get(&list).await;
    assert_eq!((&failed["total"], &failed["list"][0]["doc_name"]), (&json!(1), &json!("bad.txt")));
    let reason = failed["list"][0]["metadata"]["error"].as_str().unwrap();
    assert!(reason.contains("not text"), "{reason}");

    let ask = json!({"kdb_id": shelf, "query": "how long do sessions live?", "top_k": 1});
    let found = server.post("/knowledge-base/retrieve", ask).await;
    let hit = &found["data"]["results"][0];
    assert_eq!(hit["doc_content"], "Sessions live for 14 days.");
    assert_eq!(
        (&hit["start"], &hit["end"], &hit["title"]),
        (&json!(8), &json!(34), &json!("a.md"))
    );
    let ask = json!({"kdb_id": shelf, "query": "如何上传文件"});
    let found = server.post("/knowledge-base/retrieve", ask).await;
    let document = found["data"]["results"][0]["doc_id"].as_str().unwrap();
    assert_eq!(found["data"]["results"][0]["title"], "zh.txt");

    // What the read models hold is what a second fold of the log gives, without any embedder.
    for name in ["knowledge_bases", "documents", "passages"] {
        let comparison = server.node.app.projections.compare(name).await.unwrap();
        assert!(comparison.difference.is_none(), "{name}: {}", comparison.difference.unwrap());
    }

    let info = server.get(&format!("/knowledge-base/doc/info/{document}")).await;
    assert_eq!((&info["type"], &info["dataName"]), (&json!("file"), &json!("zh.txt")));
    let path = format!("/knowledge-base/doc/delete/{document}");
    let (status, answer) = server.send(Method::DELETE, &path, None).await;
    assert_eq!((status, &answer["data"]["success"]), (200, &json!(true)));
    let again = server.send(Method::DELETE, &path, None).await;
    assert_eq!((again.0, &again.1["message"]), (500, &json!("Document not found")));
    assert_eq!(server.get(&format!("/knowledge-base/doc/info/{document}")).await, Value::Null);

    let (status, _) =
        server.send(Method::DELETE, &format!("/knowledge-base/delete/{shelf}"), None).await;
    assert_eq!(status, 200);
    let gone =
        server.send(Method::GET, &format!("/knowledge-base/info?kdb_id={shelf}"), None).await;
    assert_eq!((gone.0, &gone.1["message"]), (500, &json!("KDB not found")));
    assert_eq!(server.get("/knowledge-base/list").await["total"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_form_that_is_refused_leaves_no_document() {
    let server = Server::start().await;
    let shelf = server.shelf().await;
    let large = vec![b'x'; (100 << 20) + 1];
    let form =
        Form::default().text("kdb_id", &shelf).file("small.txt", "small").file("large.txt", large);
    let (status, answer) = server.upload(form).await;
    assert_eq!((status, &answer["code"]), (413, &json!(413)));
    assert_eq!(answer["message"], "File large.txt is larger than 100 MB");

    let many = (0..51).fold(Form::default().text("kdb_id", &shelf), |form, n| {
        form.file(&format!("{n}.txt"), "x")
    });
    let (status, answer) = server.upload(many).await;
    assert_eq!(
        (status, &answer["message"]),
        (400, &json!("At most 50 files can be uploaded at once"))
    );

    let form = Form::default().text("kdb_id", &"0".repeat(32)).file("a", "a");
    let (status, answer) = server.upload(form).await;
    assert_eq!((status, &answer["message"]), (500, &json!("KDB not found")));

    for (form, missing) in [
        (Form::default().file("a", "a"), "kdb_id"),
        (Form::default().text("kdb_id", &shelf), "files"),
    ] {
        let (status, answer) = server.upload(form).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &json!(["body", missing])));
    }
    let documents = server.get(&format!("/knowledge-base/doc/list?kdb_id={shelf}")).await;
    assert_eq!(documents["total"], 0);
    server.stop().await;
}
