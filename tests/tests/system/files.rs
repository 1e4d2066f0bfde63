use crate::world::{header, upload};
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use reqwest::{Client, Method, Response};

async fn ask(method: Method, url: &str, headers: &[(&str, &str)]) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, url);
    headers.iter().fold(request, |r, (name, value)| r.header(*name, *value)).send().await.unwrap()
}

async fn get(url: &str, headers: &[(&str, &str)]) -> Response {
    ask(Method::GET, url, headers).await
}

async fn text(person: &Person, content: &str) -> String {
    upload(person, "a.txt", "text/plain", None, content.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_what_it_is() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = text(&ann, "hello").await;
    let whole = get(&url, &[]).await;
    let tag = "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"";
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", "5"),
        ("etag", tag),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(header(&whole, name), value, "{name}");
    }
    let head = ask(Method::HEAD, &url, &[("range", "bytes=0-1")]).await;
    assert_eq!(head.status(), 200);
    for name in ["content-type", "content-length", "etag", "content-disposition"] {
        assert_eq!(header(&head, name), header(&whole, name), "{name}");
    }
    let known = get(&url, &[("if-none-match", tag)]).await;
    assert_eq!((known.status().as_u16(), header(&known, "etag")), (304, tag));
    assert_eq!(known.text().await.unwrap(), "");
    assert_eq!(get(&url, &[("if-match", "\"other\"")]).await.status(), 412);
    assert_eq!(ask(Method::POST, &url, &[]).await.status(), 405);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_can_be_had() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = text(&ann, "0123456789").await;
    for (range, content, part) in [
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=4-6", "bytes 4-6/10", "456"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
    ] {
        let answer = get(&url, &[("range", range)]).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "content-range")), (206, content));
        assert_eq!(header(&answer, "content-length"), part.len().to_string());
        assert_eq!(answer.text().await.unwrap(), part);
    }
    for range in ["bytes=10-", "bytes=-0"] {
        let answer = get(&url, &[("range", range)]).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-range")),
            (416, "bytes */10")
        );
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["code"], 416);
    }
    for headers in [
        &[("range", "bytes=0-1,4-5")][..],
        &[("range", "bytes=5-2")],
        &[("range", "chapters=1-2")],
        &[("range", "bytes=0-1"), ("if-range", "\"another\"")],
        &[("range", "bytes=0-1"), ("if-range", "Sat, 21 Nov 2026 12:00:00 GMT")],
    ] {
        let answer = get(&url, headers).await;
        assert_eq!(answer.status(), 200, "{headers:?}");
        assert_eq!(answer.text().await.unwrap(), "0123456789");
    }
    let tag = header(&get(&url, &[]).await, "etag").to_owned();
    let same = get(&url, &[("range", "bytes=0-1"), ("if-range", &tag)]).await;
    assert_eq!(same.text().await.unwrap(), "01");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_a_file() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = text(&ann, "").await;
    let answer = get(&url, &[]).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "content-length")), (200, "0"));
    assert_eq!(get(&url, &[("range", "bytes=0-")]).await.status(), 416);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_here() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let page = "<script>alert(1)</script>";
    for (name, sent, told) in [
        ("a.html", "text/html", "text/html; charset=utf-8"),
        ("a.html", "", "text/html; charset=utf-8"),
        ("a.svg", "image/svg+xml", "image/svg+xml"),
        ("a.xhtml", "application/xhtml+xml", "application/xhtml+xml"),
        ("a.xml", "text/xml", "text/xml; charset=utf-8"),
        ("a.js", "text/javascript", "text/plain; charset=utf-8"),
        ("a.mjs", "application/javascript", "text/plain; charset=utf-8"),
        ("a.pdf", "application/pdf", "application/pdf"),
    ] {
        let url = upload(&ann, name, if sent.is_empty() { "x" } else { sent }, None, page).await;
        let answer = get(&url, &[]).await;
        assert_eq!(header(&answer, "content-type"), told, "{name}");
        assert!(header(&answer, "content-disposition").starts_with("attachment;"), "{name}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    }
    let picture = upload(&ann, "a.html", "image/png", None, page).await;
    let answer = get(&picture, &[]).await;
    assert_eq!(header(&answer, "content-type"), "image/png", "whatever is in it");
    assert!(header(&answer, "content-disposition").starts_with("inline;"));
    assert!(header(&answer, "content-security-policy").contains("sandbox"));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_link_leads_to_the_file() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = text(&ann, "mine").await;
    let (front, name) = url.rsplit_once('/').unwrap();
    let (files, id) = front.rsplit_once('/').unwrap();
    let hyphened = uuid::Uuid::parse_str(id).unwrap().hyphenated().to_string();
    for other in [
        format!("{front}/other.txt"),
        format!("{front}/x/{name}"),
        format!("{files}/{}/{name}", "0".repeat(32)),
        format!("{files}/{hyphened}/{name}"),
        format!("{files}/{}/{name}", id.to_uppercase().replace(|c: char| c.is_numeric(), "A")),
        format!("{files}/%00/{name}"),
        format!("{front}/%00"),
        format!("{front}/%ff"),
    ] {
        let answer = get(&other, &[]).await;
        assert_eq!(answer.status(), 404, "{other}");
        assert_eq!(header(&answer, "cache-control"), "", "{other}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_where_the_client_found_us() {
    let settings = [("ANNALS_TRUSTED_PROXIES", "127.0.0.1")];
    let app = TestApp::start_with(&settings).await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let part = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx\r\n--b--\r\n";
    let sent = ann
        .post("/sage/api/oss/upload")
        .header("content-type", "multipart/form-data; boundary=b")
        .header("x-forwarded-host", "chat.example.org")
        .header("x-forwarded-proto", "https")
        .body(part);
    let body: serde_json::Value =
        serde_json::from_str(&sent.send().await.unwrap().text().await.unwrap()).unwrap();
    let url = body["data"]["url"].as_str().unwrap();
    let path = url.strip_prefix("https://chat.example.org/sage/api/oss/files/").unwrap();
    let here = format!("{}/sage/api/oss/files/{path}", app.base_url);
    assert_eq!(get(&here, &[]).await.text().await.unwrap(), "x");
    app.stop().await.unwrap();

    let app = TestApp::start_with(&[("ANNALS_PUBLIC_URL", "https://a.example/b/")]).await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = text(&ann, "x").await;
    assert!(url.starts_with("https://a.example/b/api/oss/files/"), "{url}");
    app.stop().await.unwrap();
}
