//! Skills from URLs: from public addresses only, unless the operator says otherwise.

use super::hall::{Hall, answer, data, failed, listed, of, skill};
use anyhow::{Context, Result};
use axum::{Router, http::StatusCode, response::Redirect, routing::get};
use domain::{
    ids::SkillId,
    skill::{Event, Folder},
};
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::net::TcpListener;

/// A server that has a skill at `/skill.zip`.
async fn server() -> Result<String> {
    let archive = skill("fetched", "From afar")?;
    let routes = Router::new()
        .route("/skill.zip", get(move || async move { archive }))
        .route("/page", get(async || "<html>"))
        .route("/gone", get(async || StatusCode::NOT_FOUND))
        .route("/moved", get(async || Redirect::temporary("/skill.zip")))
        .route("/file", get(async || Redirect::temporary("file:///etc/passwd")))
        .route("/loop", get(async || Redirect::temporary("/loop")));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

fn import(hall: &Hall, url: &str) -> RequestBuilder {
    let body = json!({"url": url, "is_system": false, "is_agent": false, "agent_id": null});
    hall.ann.post("/api/skills/import-url").json(&body)
}

#[tokio::test]
async fn inner_addresses_and_files_are_never_fetched() -> Result<()> {
    let hall = Hall::open().await?;
    let inner = server().await?;
    let port = inner.rsplit(':').next().context("a port")?;
    for url in [
        format!("{inner}/skill.zip"),
        format!("http://localhost:{port}/skill.zip"),
        format!("http://0x7f.1:{port}/skill.zip"),
        format!("http://[::ffff:127.0.0.1]:{port}/skill.zip"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/a.zip".to_owned(),
    ] {
        failed(&answer(import(&hall, &url)).await?, 400, "导入失败: URL 不是公网地址");
    }
    for (url, why) in [
        ("file:///etc/passwd", "仅支持 http 和 https URL"),
        ("ftp://example.org/a.zip", "仅支持 http 和 https URL"),
        ("http://ann:pw@example.org/a.zip", "URL 不能包含用户名或密码"),
        ("nonsense", "URL 无效"),
        ("", "URL 无效"),
    ] {
        failed(&answer(import(&hall, url)).await?, 400, &format!("导入失败: {why}"));
    }
    let english = import(&hall, "file:///etc/passwd").header("accept-language", "en");
    let english = answer(english).await?;
    failed(&english, 400, "Import failed: only http and https URLs are allowed");
    assert_eq!(answer(hall.ann.post("/api/skills/import-url").json(&json!({}))).await?.0, 422);
    assert_eq!(hall.written().await?, 0);
    hall.close().await
}

#[tokio::test]
async fn where_the_operator_allows_it_a_skill_is_fetched() -> Result<()> {
    let hall = Hall::open_with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let server = server().await?;
    for (path, why) in [
        ("/page", "无效的 ZIP 文件"),
        ("/gone", "服务器返回 HTTP 404"),
        ("/file", "服务器返回 HTTP 307"),
        ("/loop", "无法连接服务器"),
    ] {
        let refused = answer(import(&hall, &format!("{server}{path}"))).await?;
        failed(&refused, 400, &format!("导入失败: {why}"));
    }
    assert_eq!(hall.written().await?, 0);

    let (status, body) = answer(import(&hall, &format!("{server}/moved?key=secret"))).await?;
    assert_eq!((status, &body["message"]), (200, &json!("技能 'fetched' 导入成功")), "{body}");
    assert_eq!(listed(&hall.ann, "").await?, [("fetched".to_owned(), "user".to_owned())]);
    let folder = Folder::of("fetched").context("a name")?;
    let stream = format!("skill-{}", SkillId::of(&of(&hall.ann), &folder)).parse()?;
    let log = &hall.node.app.log;
    let read = log.read(&stream, domain::Revision(0), commands::log::Direction::Forward, 1).await?;
    let event: Event = domain::codec::decode(&read[0].kind, &read[0].data)?;
    let Event::SkillImported { origin, .. } = event else { anyhow::bail!("{event:?}") };
    let origin = serde_json::to_value(origin)?;
    assert_eq!(origin["url"]["url"], format!("{server}/moved"));
    data(import(&hall, &format!("{server}/skill.zip"))).await?;
    assert_eq!(hall.written().await?, 1);
    hall.close().await
}
