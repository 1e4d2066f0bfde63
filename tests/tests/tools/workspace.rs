//! The file workspace: listing, deleting, looking up; nobody gets out of it or into another's.

use super::room::{Room, answer, data, delete, raised, upload};
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

const OUTSIDE: &str = "访问被拒绝：文件路径超出工作空间范围";

/// Paths that lead out, as they stand in a query.
const ESCAPES: &[&str] = &[
    "../x",
    "..",
    ".",
    "/etc/passwd",
    "//etc/passwd",
    "a/../../x",
    "%2e%2e%2fx",
    "%252e%252e%252fx",
    "..%5Cx",
    "a%5Cb",
    "C%3A%5Cx",
    "c:/x",
    "a%00b",
    "a%0Ab",
    "a//b",
    "%EF%BC%8E%EF%BC%8E/%2e%2e/x",
];

#[tokio::test]
async fn a_workspace_is_listed_folder_by_folder() -> Result<()> {
    let room = Room::open().await?;
    let empty = data(room.ann.post(&room.at("")).json(&json!({}))).await?;
    assert_eq!((&empty["files"], &empty["message"]), (&json!([]), &json!("工作空间为空")));
    for path in ["b/deep/x.md", "b/y.txt", "a.txt", "报告/größe 😀.md", ".hidden", ".git/x"] {
        room.write(path, "hello").await?;
    }
    let all = ["a.txt", "b", "报告", "b/y.txt", "b/deep", "b/deep/x.md", "报告/größe 😀.md"];
    assert_eq!(room.paths("").await?, all);
    assert_eq!(room.paths("?max_depth=0").await?, ["a.txt", "b", "报告"]);
    assert_eq!(room.paths("?path=b&max_depth=0").await?, ["b/y.txt", "b/deep"]);
    assert_eq!(room.paths("?path=nowhere").await?, Vec::<String>::new());

    let (_, body) = answer(room.ann.post(&room.at("?path=b&max_depth=0"))).await?;
    let listing = &body["data"];
    assert_eq!(
        (&body["message"], &listing["message"]),
        (&json!("获取文件列表成功"), &body["message"])
    );
    for (key, value) in [
        ("agent_id", json!(room.agent)),
        ("user_id", json!(room.ann.user)),
        ("path", json!("b")),
        ("max_depth", json!(0)),
        ("truncated_by_depth", json!(true)),
    ] {
        assert_eq!(listing[key], value, "{key}");
    }
    let [file, folder] = [&listing["files"][0], &listing["files"][1]];
    assert_eq!(
        (&file["name"], &file["size"], &file["is_directory"]),
        (&json!("y.txt"), &json!(5), &json!(false))
    );
    assert_eq!(
        (&folder["name"], &folder["size"], &folder["is_directory"]),
        (&json!("deep"), &json!(0), &json!(true))
    );
    assert!(file["modified_time"].as_f64().unwrap() > 1.7e9);
    let (status, _) = answer(room.ann.post(&room.at("?max_depth=-1"))).await?;
    assert_eq!(status, 422);
    room.close().await
}

#[tokio::test]
async fn no_path_leads_out() -> Result<()> {
    let room = Room::open().await?;
    room.write("a/b.txt", "hello").await?;
    let before = room.node.settled().await?;
    for path in ESCAPES {
        let get = room.ann.get(&room.at(&format!("/download?file_path={path}")));
        assert_eq!(raised(get).await?, OUTSIDE, "{path}");
        let gone =
            delete(&room.ann, &room.at(&format!("/delete?file_path={path}&missing_ok=true")));
        assert_eq!(raised(gone).await?, OUTSIDE, "{path}");
        if *path != "." {
            let list = room.ann.post(&room.at(&format!("?path={path}")));
            assert_eq!(raised(list).await?, OUTSIDE, "{path}");
        }
    }
    for path in ["../x", "/etc", r"..\x", "%2e%2e/x", "a\0b", "c:/x"] {
        let body = json!({"paths": [path]});
        let stat = data(room.ann.post(&room.at("/stat")).json(&body)).await?;
        assert_eq!(stat["files"][0]["error_code"], "ACCESS_DENIED", "{path}");
        let body =
            json!({"source_url": "http://127.0.0.1:1/x", "filename": "x", "target_path": path});
        let fetched = room.ann.post(&room.at("/download_from_url")).json(&body);
        assert_eq!(raised(fetched).await?, OUTSIDE, "{path}");
        let body = json!({"source_url": "http://127.0.0.1:1/x", "filename": path});
        let fetched = room.ann.post(&room.at("/download_from_url")).json(&body);
        assert_eq!(raised(fetched).await?, OUTSIDE, "{path}");
        if !path.contains('\0') {
            let sent = upload(&room.ann, &room.at("/upload"), "x.txt", path, b"x");
            assert_eq!(raised(sent).await?, OUTSIDE, "{path}");
        }
        for tool in ["file_read", "file_write", "file_update"] {
            let arguments = json!({"file_path": path, "content": "x", "operations": [],
                "search_pattern": "a", "replacement": "b"});
            assert!(
                raised(room.tool(&room.ann, tool, arguments)).await?.contains("path"),
                "{path}"
            );
        }
        for tool in ["list_dir", "glob", "grep"] {
            let arguments = json!({"path": path, "pattern": "x"});
            assert!(
                raised(room.tool(&room.ann, tool, arguments)).await?.contains("path"),
                "{path}"
            );
        }
    }
    let news = room.news(before).await?;
    assert!(news.iter().all(|kind| kind.starts_with("ToolCall")), "{news:?}");
    assert_eq!(raised(room.ann.get(&room.at("/download"))).await?, "缺少必要的路径参数");
    assert_eq!(raised(delete(&room.ann, &room.at("/delete"))).await?, "缺少必要的路径参数");
    room.close().await
}

#[tokio::test]
async fn files_and_folders_are_deleted() -> Result<()> {
    let room = Room::open().await?;
    for path in ["a.txt", "ab.txt", "a/1.txt", "a/b/2.txt", "a0.txt"] {
        // A folder cannot stand where a file is, and neither the other way round.
        room.write(path, "x").await?;
    }
    let before = room.node.settled().await?;
    let (_, gone) = answer(delete(&room.ann, &room.at("/delete?file_path=a.txt"))).await?;
    assert_eq!((&gone["message"], &gone["data"]), (&json!("文件 a.txt 已删除"), &json!({})));
    data(delete(&room.ann, &room.at("/delete?file_path=a/"))).await?;
    assert_eq!(room.paths("").await?, ["a0.txt", "ab.txt"]);
    assert_eq!(room.news(before).await?, ["FileDeleted"; 3]);
    let missing = room.at("/delete?file_path=a.txt");
    assert_eq!(raised(delete(&room.ann, &missing)).await?, "文件不存在: a.txt");
    data(delete(&room.ann, &format!("{missing}&missing_ok=true"))).await?;
    assert_eq!(
        raised(room.tool(&room.ann, "file_write", json!({"file_path": "ab.txt/x", "content": ""})))
            .await?,
        "工具执行失败: ab.txt is in the way"
    );
    room.close().await
}

#[tokio::test]
async fn everybody_has_their_own_files() -> Result<()> {
    let room = Room::open().await?;
    room.write("secret.txt", "ann's").await?;
    let unknown = "/api/agent/agent_00000000/file_workspace";
    for path in [room.at(""), unknown.to_owned()] {
        let listing = data(room.bob.post(&path)).await?;
        assert_eq!((&listing["files"], &listing["message"]), (&json!([]), &json!("工作空间为空")));
        let get = room.bob.get(&format!("{path}/download?file_path=secret.txt"));
        assert_eq!(raised(get).await?, "文件不存在: secret.txt");
        let gone = delete(&room.bob, &format!("{path}/delete?file_path=secret.txt"));
        assert_eq!(raised(gone).await?, "文件不存在: secret.txt");
        let sent = upload(&room.bob, &format!("{path}/upload"), "x.txt", "", b"x");
        assert!(raised(sent).await?.ends_with("不存在"));
        let stat = room.bob.post(&format!("{path}/stat")).json(&json!({"paths": ["secret.txt"]}));
        assert_eq!(data(stat).await?["files"][0]["error_code"], "FILE_NOT_FOUND");
    }
    assert_eq!(
        raised(room.tool(&room.bob, "file_read", json!({"file_path": "secret.txt"}))).await?,
        format!("Agent '{}' 不存在", room.agent)
    );
    let nobody = room.node.nobody()?;
    for (method, path) in [
        (Method::POST, ""),
        (Method::GET, "/download?file_path=secret.txt"),
        (Method::DELETE, "/delete?file_path=secret.txt"),
        (Method::POST, "/upload"),
        (Method::POST, "/stat"),
    ] {
        let (status, _) = answer(nobody.request(method, &room.at(path))).await?;
        assert_eq!(status, 401, "{path}");
    }
    // An administrator has files of their own, and sees those of a conversation's owner.
    let own = data(room.admin.post(&room.at(""))).await?;
    assert_eq!(own["files"], json!([]));
    let chat = json!({"session_id": "s-1", "messages": [{"role": "user", "content": "hi"}]});
    room.ann.post("/api/web-stream").json(&chat).send().await?.text().await?;
    let hers = data(room.admin.post(&room.at("?session_id=s-1"))).await?;
    assert_eq!(
        (&hers["files"][0]["path"], &hers["user_id"]),
        (&json!("secret.txt"), &json!(room.ann.user))
    );
    let his = data(room.bob.post(&room.at("?session_id=s-1"))).await?;
    assert_eq!(his["files"], json!([]));
    room.close().await
}

#[tokio::test]
async fn people_an_agent_is_shared_with_have_files_of_their_own() -> Result<()> {
    let room = Room::open().await?;
    room.write("hers.txt", "ann's").await?;
    let share = |users: Value| {
        let path = format!("/api/agent/{}/auth", room.agent);
        room.ann.post(&path).json(&json!({"user_ids": users}))
    };
    data(share(json!([room.bob.user]))).await?;
    assert_eq!(data(room.bob.post(&room.at(""))).await?["files"], json!([]));
    data(upload(&room.bob, &room.at("/upload"), "his.txt", "", b"bob's")).await?;
    let arguments = json!({"file_path": "his.txt"});
    data(room.tool(&room.bob, "file_read", arguments)).await?;
    let his = data(room.bob.post(&room.at(""))).await?;
    assert_eq!(
        (&his["files"][0]["path"], &his["user_id"]),
        (&json!("his.txt"), &json!(room.bob.user))
    );
    assert_eq!(room.paths("").await?, ["hers.txt"]);
    let get = room.bob.get(&room.at("/download?file_path=hers.txt"));
    assert_eq!(raised(get).await?, "文件不存在: hers.txt");
    data(share(json!([]))).await?;
    assert_eq!(data(room.bob.post(&room.at(""))).await?["files"], json!([]));
    room.close().await
}

#[tokio::test]
async fn an_agent_takes_its_workspaces_with_it() -> Result<()> {
    let room = Room::open().await?;
    for path in ["a.txt", "b/c.txt"] {
        room.write(path, "x").await?;
    }
    let other = json!({"tool_name": "file_write",
        "tool_params": {"file_path": "kept.txt", "content": "x"}, "agent_id": "default_agent"});
    data(room.ann.post("/api/tools/exec").json(&other)).await?;
    let listed = || async {
        room.node.settled().await?;
        let rows = sqlx::query_scalar("select path from workspace_files order by path");
        anyhow::Ok(rows.fetch_all(&room.node.app.db).await? as Vec<String>)
    };
    assert_eq!(listed().await?, ["a.txt", "b/c.txt", "kept.txt"]);
    data(delete(&room.ann, &format!("/api/agent/{}", room.agent))).await?;
    assert_eq!(listed().await?, ["kept.txt"]);
    assert_eq!(room.paths("").await?, Vec::<String>::new());
    room.close().await
}

#[tokio::test]
async fn each_path_is_looked_up_for_itself() -> Result<()> {
    let room = Room::open().await?;
    room.write("docs/a.txt", "a").await?;
    let body = json!({"paths": ["docs/a.txt", "docs", "b.txt"], "include_content_hash": true});
    let stat = data(room.ann.post(&room.at("/stat")).json(&body)).await?;
    let [file, folder, missing] = [0, 1, 2].map(|at| stat["files"][at].clone());
    assert_eq!(
        (&file["exists"], &file["size"], &file["content_type"]),
        (&json!(true), &json!(1), &json!("text/plain"))
    );
    assert_eq!(
        file["content_hash"],
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    );
    assert_eq!(
        (&folder["is_directory"], &folder["content_type"], &folder["content_hash"]),
        (&json!(true), &json!("inode/directory"), &Value::Null)
    );
    assert_eq!(
        missing,
        json!({"path": "b.txt", "exists": false, "is_directory": false,
        "error_code": "FILE_NOT_FOUND", "message": "文件不存在: b.txt"})
    );
    assert_eq!(
        data(room.ann.post("/api/agent/abilities").json(&json!({}))).await?,
        json!({"items": []})
    );
    room.close().await
}
