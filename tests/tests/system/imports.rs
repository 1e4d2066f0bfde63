use crate::world::{Elsewhere, facts, header, refusal, told};
use annals_tests::app::TestApp;
use domain::user::Role;
use serde_json::{Value, json};

const PATH: &str = "/api/oss/import_url";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_in_from_a_link() {
    let elsewhere = Elsewhere::start().await;
    let typed = |media_type: &str| vec![("content-type", media_type.to_owned())];
    elsewhere.answers("/a/%E7%8C%AB.png", 200, typed("image/png"), "cat");
    elsewhere.answers("/logo", 200, typed("image/jpeg"), "logo");
    let to = vec![("location", format!("{}/logo?token=secret", elsewhere.base))];
    elsewhere.answers("/moved", 302, to, "");
    let app = TestApp::start_with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    for (path, filename, media_type, content) in [
        ("/a/%E7%8C%AB.png?size=1", "猫.png", "image/png", "cat"),
        ("/moved", "logo.jpg", "image/jpeg", "logo"),
    ] {
        let body = json!({"url": format!("{}{path}", elsewhere.base)});
        let (status, answer) = told(ann.post(PATH).json(&body)).await;
        assert_eq!((status, &answer["data"]["filename"]), (200, &json!(filename)), "{answer}");
        let file = reqwest::get(answer["data"]["url"].as_str().unwrap()).await.unwrap();
        assert_eq!(header(&file, "content-type"), media_type);
        assert_eq!(file.text().await.unwrap(), content);
    }
    assert_eq!(facts(&app, "upload").await, ["FileUploaded", "FileUploaded"]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_told_and_leaves_nothing() {
    let elsewhere = Elsewhere::start().await;
    elsewhere.answers("/large", 200, vec![], vec![0; (25 << 20) + 1]);
    let app = TestApp::start_with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let at = |path: &str| json!({"url": format!("{}{path}", elsewhere.base)});
    for body in [at("/large"), at("/missing"), json!({"url": "no url"}), json!({"url": ""})] {
        let (status, code, message) = refusal(ann.post(PATH).json(&body)).await;
        assert_eq!((status, code), (400, 400), "{body}: {message}");
        assert!(message.starts_with("The import failed: "), "{message}");
    }
    assert_eq!(told(ann.post(PATH).json(&json!({}))).await.0, 422);
    assert!(facts(&app, "upload").await.is_empty());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_inside_is_called() {
    let inside = Elsewhere::start().await;
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Creator).await.unwrap();
    let port = inside.base.rsplit(':').next().unwrap();
    for url in [
        inside.base.clone(),
        format!("http://localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://user:pw@127.0.0.1:{port}/"),
    ] {
        let (status, body) = told(ann.post(PATH).json(&json!({"url": url}))).await;
        assert_eq!((status, &body["data"]), (400, &Value::Null), "{url}");
    }
    let nobody = app.nobody().unwrap();
    assert_eq!(refusal(nobody.post(PATH).json(&json!({"url": inside.base}))).await.0, 401);
    assert!(inside.asked().is_empty());
    app.stop().await.unwrap();
}
