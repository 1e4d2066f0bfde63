use crate::world::{actors, facts, form, refusal, sent, told, upload};
use annals_tests::app::TestApp;
use commands::log::Filter;
use domain::{Position, user::Role};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_with_its_owner_and_read_without_login() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let url = upload(&ann, "cat.png", "image/png", None, *b"\x89PNG").await;
    let rest = url.strip_prefix(&format!("{}/api/oss/files/", app.base_url)).unwrap();
    let (id, name) = rest.split_once('/').unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{url}");
    let (stamp, name) = name.split_once('_').unwrap();
    assert!(stamp.len() == 14 && stamp.bytes().all(|b| b.is_ascii_digit()), "{url}");
    assert_eq!(name, "cat.png");
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(&*answer.bytes().await.unwrap(), b"\x89PNG");
    let page = app.app.log.read_all(Position::START, 1_000, &Filter::categories(&["upload"])).await;
    let event: Value = serde_json::from_str(page.unwrap().events[0].data.get()).unwrap();
    assert_eq!((&event["owner"], &event["size"]), (&json!(ann.user), &json!(4)));
    assert_eq!(actors(&app, "upload").await, [ann.user.0]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_the_key() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    for (path, end) in [
        ("uploads/images", "/uploads/images/cat.png"),
        ("uploads/dog.png", "/uploads/dog.png"),
        ("/a//b/", "/a/b/cat.png"),
        ("报告/a b", "/%E6%8A%A5%E5%91%8A/a%20b/cat.png"),
        ("a%2fb/?#", "/a%252fb/%3F%23/cat.png"),
    ] {
        let url = upload(&ann, "cat.png", "image/png", Some(path), *b"cat").await;
        assert!(url.ends_with(end), "{path}: {url}");
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "cat"));
    }
    for path in ["../x", "a/../../b.png", "./a", "a\\b", "a/\u{202e}gnp.exe", &"x/".repeat(2_000)] {
        let refused = refusal(sent(&ann, "cat.png", "image/png", Some(path), *b"cat")).await;
        assert_eq!((refused.0, refused.1), (400, 400), "{path}");
    }
    assert_eq!(facts(&app, "upload").await.len(), 5);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_of_two_people_names_two_files() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bob = app.user("bob", Role::Creator).await.unwrap();
    let hers = upload(&ann, "a.txt", "text/plain", Some("shared/a.txt"), *b"ann's").await;
    let his = upload(&bob, "a.txt", "text/plain", Some("shared/a.txt"), *b"bob's").await;
    let again = upload(&ann, "a.txt", "text/plain", Some("shared/a.txt"), *b"newer").await;
    for (url, text) in [(&hers, "ann's"), (&his, "bob's"), (&again, "newer")] {
        assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), text);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_shown_and_never_a_path() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    for (name, end, shown) in [
        ("../../etc/passwd", "_passwd", "_passwd\""),
        (r"C:\a\报告.txt", "_%E6%8A%A5%E5%91%8A.txt", "UTF-8''"),
        ("cat\u{202e}gpj.exe", "_catgpj.exe", "_catgpj.exe\""),
        ("a\\\"; x=\\\"b.png", "_%20x%3D%22b.png", "x=_b.png\""),
        (&"n".repeat(300), &"n".repeat(255), "attachment; filename="),
    ] {
        let url = upload(&ann, name, "application/x-thing", None, *b"x").await;
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.contains(shown), "{disposition}");
        assert!(url.ends_with(end) || name.contains('"'), "{name}: {url}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_none_leaves_no_file() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let file = || ("name=\"file\"; filename=\"a\"".to_owned(), "text/plain", b"a".to_vec());
    let text = |name: &str| (format!("name=\"{name}\""), "text/plain", b"a".to_vec());
    let (status, body) = told(form(&ann, vec![text("path")])).await;
    assert_eq!((status, &body["detail"][0]["loc"]), (422, &json!(["body", "file"])));
    assert_eq!(told(form(&ann, vec![text("file")])).await.0, 422);
    let other = ("name=\"picture\"; filename=\"a\"".to_owned(), "text/plain", b"a".to_vec());
    assert_eq!(told(form(&ann, vec![other])).await.0, 422);
    let two = refusal(form(&ann, vec![file(), file()])).await;
    assert_eq!(two, (400, 400, "Only one file can be uploaded at once".to_owned()));
    let (status, _) = told(ann.post("/api/oss/upload").json(&json!({"file": "a"}))).await;
    assert_eq!(status, 415);
    let nobody = app.nobody().unwrap();
    let (status, code, _) = refusal(sent(&nobody, "a", "text/plain", None, *b"a")).await;
    assert_eq!((status, code), (401, 401));
    assert!(facts(&app, "upload").await.is_empty());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_megabytes_come_back_as_they_were_and_a_hundred_and_one_do_not_go_in() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let bytes: Vec<u8> =
        (0..30_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let url = upload(&ann, "large.bin", "application/octet-stream", None, bytes.clone()).await;
    let back = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
    assert!(back[..] == bytes[..], "{} bytes", back.len());
    let large = sent(&ann, "larger.bin", "image/png", None, vec![0; (100 << 20) + 1]);
    let refused = refusal(large).await;
    assert_eq!(refused, (413, 413, "File larger.bin is larger than 100 MB".to_owned()));
    assert_eq!(facts(&app, "upload").await.len(), 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_has_it_at_once() {
    let blobs = std::env::temp_dir().join(format!("annals-system-{}", uuid::Uuid::new_v4()));
    let address = format!("file://{}", blobs.display());
    let settings = [("ANNALS_BLOBS", address.as_str())];
    let one = TestApp::start_with(&settings).await.unwrap();
    let two = TestApp::on(&one.database_url(), &settings).await.unwrap();
    let ann = one.user("ann", Role::Creator).await.unwrap();
    for n in 0..10 {
        let url = upload(&ann, "a.txt", "text/plain", None, format!("{n}")).await;
        let there = url.replace(&one.base_url, &two.base_url);
        let answer = reqwest::get(&there).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), n.to_string(), "{there}");
    }
    two.stop().await.unwrap();
    one.stop().await.unwrap();
    std::fs::remove_dir_all(blobs).unwrap();
}
