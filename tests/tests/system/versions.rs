use crate::world::{actors, facts, refusal, told};
use annals_tests::app::{Person, TestApp};
use domain::user::Role;
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

const PATH: &str = "/api/system/version";

fn create(person: &Person, version: &str) -> RequestBuilder {
    let artifacts = json!([
        {"platform": "darwin-aarch64", "installer_url": "https://example.org/a.dmg",
         "updater_url": "https://example.org/a.tar.gz", "updater_signature": "c2ln"},
        {"platform": "windows-x86_64", "updater_url": "https://example.org/a.zip"},
        {"platform": "linux-x86_64", "installer_url": "https://example.org/a.deb", "updater_url": ""},
    ]);
    let body = json!({"version": version, "release_notes": "Faster", "artifacts": artifacts});
    person.post(PATH).json(&body)
}

fn delete(person: &Person, version: &str) -> RequestBuilder {
    person.request(Method::DELETE, &format!("{PATH}/{version}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_created_listed_offered_and_deleted() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let nobody = app.nobody().unwrap();
    let (_, none) = told(nobody.get("/api/system/version/latest")).await;
    assert_eq!((&none["code"], &none["data"]), (&json!(200), &Value::Null));
    let none = refusal(nobody.get("/api/system/version/check")).await;
    assert_eq!(none, (404, 404, "Version not found".to_owned()));

    let (status, body) = told(create(&ann, "1.9.0")).await;
    assert_eq!((status, &body["message"]), (200, &json!("版本创建成功")), "{body}");
    let record = body["data"].clone();
    assert_eq!((&record["version"], &record["release_notes"]), (&json!("1.9.0"), &json!("Faster")));
    let bare = json!({"platform": "linux-x86_64", "installer_url": "https://example.org/a.deb",
        "updater_url": null, "updater_signature": null});
    assert_eq!(record["artifacts"][2], bare);
    assert_eq!(told(create(&ann, "1.10.0")).await.1["code"], 200);

    let (_, list) = told(ann.get(PATH)).await;
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|it| it["version"].clone()).collect();
    assert_eq!((names, &list["message"]), (vec![json!("1.10.0"), json!("1.9.0")], &json!("")));
    assert_eq!(list["data"][1], record, "it is shown as it was answered");
    let (_, latest) = told(nobody.get("/api/system/version/latest")).await;
    assert_eq!(latest["data"], list["data"][0]);
    let (_, check) = told(nobody.get("/sage/api/system/version/check")).await;
    let date = format!("{}Z", list["data"][0]["pub_date"].as_str().unwrap());
    let expected = json!({"version": "1.10.0", "notes": "Faster", "pub_date": date, "platforms": {
        "darwin-aarch64": {"url": "https://example.org/a.tar.gz", "signature": "c2ln"},
        "windows-x86_64": {"url": "https://example.org/a.zip", "signature": ""},
    }});
    assert_eq!(check, expected);
    assert!(chrono::DateTime::parse_from_rfc3339(&date).is_ok(), "{date}");

    let (_, gone) = told(delete(&ann, "1.10.0")).await;
    assert_eq!(
        (&gone["data"], &gone["message"]),
        (&json!({"success": true}), &json!("版本删除成功"))
    );
    let (_, latest) = told(nobody.get("/api/system/version/latest")).await;
    assert_eq!(latest["data"], record);
    let events = ["VersionPublished", "VersionPublished", "VersionWithdrawn"];
    assert_eq!(facts(&app, "version").await, events);
    assert!(actors(&app, "version").await.iter().all(|actor| *actor == ann.user.0));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_and_leaves_nothing() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    assert_eq!(told(create(&ann, "1.0.0")).await.0, 200);
    let twice = refusal(create(&ann, "1.0.0")).await;
    assert_eq!(twice, (200, 400, "The version already exists".to_owned()));
    for version in ["2.0.0", "..%2Fx", "%00"] {
        let missing = refusal(delete(&ann, version)).await;
        assert_eq!(missing.1, 404, "{version}: {missing:?}");
    }
    for version in ["", "a b", "latest", "../1", "1\u{0}", "一"] {
        let (status, code, _) = refusal(create(&ann, version)).await;
        assert_eq!((status, code), (200, 400), "{version:?}");
    }
    let artifact = json!({"platform": "linux-x86_64", "updater_url": "javascript:alert(1)"});
    let body = json!({"version": "2", "release_notes": "", "artifacts": [artifact]});
    assert_eq!(refusal(ann.post(PATH).json(&body)).await.1, 400);
    for body in [json!({}), json!({"version": 1}), json!({"version": "2", "artifacts": [{}]})] {
        assert_eq!(told(ann.post(PATH).json(&body)).await.0, 422, "{body}");
    }
    assert_eq!(facts(&app, "version").await, ["VersionPublished"]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_change_versions() {
    let app = TestApp::start().await.unwrap();
    let (bob, nobody) = (app.user("bob", Role::Creator).await.unwrap(), app.nobody().unwrap());
    let writes = |person: &Person| {
        let import = person.post("/api/system/version/import_github");
        [create(person, "1.0.0"), delete(person, "1.0.0"), import]
    };
    for write in writes(&bob) {
        assert_eq!(refusal(write).await, (200, 403, "Permission denied".to_owned()));
    }
    for write in writes(&nobody) {
        let (status, code, _) = refusal(write).await;
        assert_eq!((status, code), (401, 401));
    }
    assert_eq!(told(bob.get(PATH)).await.0, 200);
    assert_eq!(told(nobody.get(PATH)).await.0, 401);
    assert!(facts(&app, "version").await.is_empty());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_at_once_one_creates_it() {
    let app = TestApp::start().await.unwrap();
    let ann = app.user("ann", Role::Administrator).await.unwrap();
    let answers = join_all((0..8).map(|_| told(create(&ann, "1.0.0")))).await;
    let codes: Vec<u64> = answers.iter().map(|(_, it)| it["code"].as_u64().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 200 | 400)), "{codes:?}");
    assert_eq!(facts(&app, "version").await, ["VersionPublished"]);
    app.stop().await.unwrap();
}
