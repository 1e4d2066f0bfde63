use crate::world::{Elsewhere, facts, refusal, told};
use annals_tests::app::TestApp;
use domain::user::Role;
use reqwest::Method;
use serde_json::{Value, json};

const IMPORT: &str = "/api/system/version/import_github";

fn release(base: &str, tag: &str) -> String {
    let asset = |name: &str| json!({"name": name, "browser_download_url": format!("{base}/files/{name}"), "size": 1});
    let names = [
        "Sage_2.0.0_aarch64.dmg",
        "Sage_aarch64.app.tar.gz",
        "Sage_aarch64.app.tar.gz.sig",
        "Sage_2.0.0_x64-setup.exe",
        "Sage_2.0.0_x64-setup.nsis.zip",
        "README.txt",
    ];
    let assets: Vec<Value> = names.iter().map(|name| asset(name)).collect();
    json!({"tag_name": tag, "body": "## New\n\nMuch.", "published_at": "2026-03-04T05:06:07Z",
        "draft": false, "assets": assets})
    .to_string()
}

async fn app(github: &Elsewhere) -> TestApp {
    let url = format!("{}/latest", github.base);
    let settings = [("ANNALS_RELEASES_URL", &*url), ("ANNALS_ALLOW_PRIVATE_URLS", "true")];
    TestApp::start_with(&settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_release_is_imported_once_and_asked_for_once() {
    let github = Elsewhere::start().await;
    github.answers("/latest", 200, vec![], release(&github.base, "desktop-v2.0.0"));
    let signature = "/files/Sage_aarch64.app.tar.gz.sig";
    github.answers(signature, 200, vec![], "c2lnbmF0dXJl\n");
    let app = app(&github).await;
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let (status, body) = told(ann.post(IMPORT)).await;
    assert_eq!((status, &body["message"]), (200, &json!("版本 2.0.0 导入成功")), "{body}");
    let file = |name: &str| format!("{}/files/{name}", github.base);
    let expected = json!({
        "version": "2.0.0",
        "release_notes": "## New\n\nMuch.",
        "pub_date": "2026-03-04T05:06:07.000000",
        "artifacts": [
            {"platform": "darwin-aarch64", "installer_url": file("Sage_2.0.0_aarch64.dmg"),
             "updater_url": file("Sage_aarch64.app.tar.gz"), "updater_signature": "c2lnbmF0dXJl"},
            {"platform": "windows-x86_64", "installer_url": file("Sage_2.0.0_x64-setup.exe"),
             "updater_url": file("Sage_2.0.0_x64-setup.nsis.zip"), "updater_signature": null},
        ],
    });
    assert_eq!(body["data"], expected);
    let (_, again) = told(ann.post(IMPORT)).await;
    assert_eq!(again["data"], expected);
    assert_eq!(facts(&app, "version").await, ["VersionPublished"]);
    let asked = github.asked();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/latest", signature]);
    assert_eq!(asked[0].1["accept"], "application/vnd.github+json");
    assert!(asked[0].1["user-agent"].to_str().unwrap().starts_with("annals/"));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_replaces_what_was_created_by_hand() {
    let github = Elsewhere::start().await;
    let described = json!({"tag_name": "v2.0.0", "body": null, "assets": []});
    github.answers("/latest", 200, vec![], described.to_string());
    let app = app(&github).await;
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let body = json!({"version": "2.0.0", "release_notes": "by hand", "artifacts": []});
    assert_eq!(told(ann.post("/api/system/version").json(&body)).await.0, 200);
    let (_, imported) = told(ann.post(IMPORT)).await;
    assert_eq!(imported["data"]["release_notes"], "");
    let (_, list) = told(ann.get("/api/system/version")).await;
    assert_eq!(list["data"], json!([imported["data"]]));
    let gone = ann.request(Method::DELETE, "/api/system/version/2.0.0");
    assert_eq!(told(gone).await.0, 200);
    assert_eq!(told(ann.post(IMPORT)).await.1["code"], 200, "what was deleted can come back");
    let events = ["VersionPublished", "VersionReplaced", "VersionWithdrawn", "VersionPublished"];
    assert_eq!(facts(&app, "version").await, events);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_had_leaves_nothing() {
    let github = Elsewhere::start().await;
    let app = app(&github).await;
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let whole = release(&github.base, "desktop-v2.0.0");
    let no_signature = whole.clone();
    let odd = release(&github.base, "nightly/../x");
    for (status, body) in
        [(503, whole), (200, "<html>".to_owned()), (200, odd), (200, no_signature)]
    {
        github.answers("/latest", status, vec![], body.clone());
        let (status, code, message) = refusal(ann.post(IMPORT)).await;
        assert_eq!((status, code), (200, 500), "{body}");
        assert_eq!(message, "Failed to fetch the release from GitHub");
    }
    assert!(facts(&app, "version").await.is_empty());
    github.answers("/files/Sage_aarch64.app.tar.gz.sig", 200, vec![], "sig");
    assert_eq!(told(ann.post(IMPORT)).await.1["code"], 200, "failures are not remembered");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_nobody_inside_is_called() {
    let github = Elsewhere::start().await;
    let url = format!("{}/latest", github.base);
    let app = TestApp::start_with(&[("ANNALS_RELEASES_URL", &*url)]).await.unwrap();
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    assert_eq!(refusal(ann.post(IMPORT)).await.1, 500);
    assert!(github.asked().is_empty());
    app.stop().await.unwrap();
}
