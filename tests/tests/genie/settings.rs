//! What operators decide: what tiers allow, what roles are called, what clients insist on, whose pages may call.

use crate::world::{SECRET, World, ask, good, refused};
use annals_tests::process::Folder;
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::fs;

const PAGE: &str = "http://localhost:5173";

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn operators_say_what_tiers_allow_and_what_roles_are_called() -> Result<()> {
    let folder = Folder::new("genie-settings");
    fs::create_dir_all(folder.path())?;
    let file = folder.path().join("tiers.json");
    let limits = json!({"starter": {"caption_generator": 1, "connected_platforms": 2,
                                    "scheduled_queue_size": 1, "fan_details": true}});
    fs::write(&file, limits.to_string())?;
    let id = "0b1e7d3c-9a4f-4a86-8d5b-2f6c0a7e9d11";
    let world = World::with(&[
        ("ANNALS_TIER_LIMITS_FILE", file.to_str().context("a path")?),
        ("ANNALS_RBAC_ROLES", &format!(r#"{{"{id}": "viewer"}}"#)),
        ("ANNALS_GENIE_POST_STATUS", "200"),
        ("ANNALS_GENIE_ONBOARDING", "lenient"),
    ])
    .await?;
    let ann = world.creator("ann").await?;

    for (platform, status) in [("x", 200), ("reddit", 200), ("reddit", 200), ("tiktok", 403)] {
        let connect = json!({"platform": platform, "credentials": {"key": "k"}});
        let connect = ann.post("/api/credentials/create-profile").json(&connect);
        assert_eq!(ask(connect).await?.0, status, "{platform}");
    }
    let time = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let post = json!({"platform": "x", "content": "hi", "scheduled_time": time});
    let schedule = || ann.post("/api/posts/schedule").json(&post);
    assert_eq!(ask(schedule()).await?.0, 200, "as clients insist");
    assert_eq!(refused(schedule()).await?, (403, "tier_limit_reached".to_owned()));
    assert_eq!(good(ann.get("/api/usage")).await?["limits"]["post_creations"], 1);
    let fan = json!({"platform": "x", "platform_fan_id": "1", "memories": ["tea"]});
    good(ann.post("/api/fans").json(&fan)).await?;
    let fans = good(ann.get("/api/fans?include=memories")).await?;
    assert_eq!(fans["data"][0]["memories"][0]["text"], "tea", "{fans}");

    let go = ann.request(Method::PATCH, "/api/onboarding").json(&json!({"state": "COMPLETE"}));
    assert_eq!(good(go).await?["state"], "COMPLETE");

    let sync = async |role: &str| {
        let wish = json!({"event": "users.update", "keys": [ann.user], "payload": {"role": role}});
        let server = world.app.nobody()?.post("/api/rbac-sync").header(SECRET.0, SECRET.1);
        ask(server.json(&wish)).await
    };
    let head = world.app.app.log.head().await?;
    let unknown = sync("11111111-9a4f-4a86-8d5b-2f6c0a7e9d11").await?;
    assert_eq!((unknown.0, &unknown.1["error"]), (400, &json!("invalid_role")));
    assert_eq!(world.app.app.log.head().await?, head);
    let changed = sync(&id.to_uppercase()).await?.1;
    assert_eq!(changed["results"][0]["role"], "Viewer", "{changed}");
    assert_eq!(refused(schedule()).await?.0, 403);
    world.app.stop().await
}

/// A dashboard that lives elsewhere talks, reads why it is refused, and resumes what was cut off.
#[tokio::test]
async fn pages_of_other_origins_call_with_a_token() -> Result<()> {
    let world = World::start().await?;
    let (ann, nobody) = (world.creator("ann").await?, world.app.nobody()?);
    let run = "/v1/runs/0b1e7d3c-9a4f-4a86-8d5b-2f6c0a7e9d11/stream";
    for path in ["/api/genie/stream-chat", "/genie/api/skills", run] {
        let preflight = nobody.request(Method::OPTIONS, path).header("origin", PAGE);
        let preflight = preflight.header("access-control-request-method", "POST");
        let wanted = ("access-control-request-headers", "authorization,content-type");
        let allowed = preflight.header(wanted.0, wanted.1).send().await?;
        assert_eq!(allowed.status(), 200, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", PAGE),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", wanted.1),
        ] {
            assert_eq!(header(&allowed, name), Some(value), "{path}: {name}");
        }
    }
    let paths =
        ["/api/usage", "/api/skills", "/genie/api/skills/trim-video", "/genie/no", "/api/me", run];
    for path in paths {
        for who in [&ann, &nobody] {
            let answer = who.get(path).header("origin", PAGE).send().await?;
            let origins = answer.headers().get_all("access-control-allow-origin");
            assert_eq!(origins.iter().collect::<Vec<_>>(), [PAGE], "{path}");
            let read = header(&answer, "access-control-expose-headers").context("headers")?;
            assert!(read.contains("x-run-id") && read.contains("ratelimit-reset"), "{read}");
        }
    }
    // What is for operators stays theirs.
    let metrics = nobody.get("/metrics").header("origin", PAGE).send().await?;
    assert_eq!(
        (metrics.status(), header(&metrics, "access-control-allow-origin")),
        (StatusCode::OK, None)
    );
    world.app.stop().await
}

/// Also where two dialects meet, at the root and below the prefix.
#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_refused_in_this_shape() -> Result<()> {
    let world = World::start().await?;
    let ann = world.person("ann", Role::Creator).await?;
    for path in ["/api/usage", "/genie/api/skills", "/genie/api/skills/trim-video"] {
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = refused(ann.request(method.clone(), path)).await?;
            assert_eq!(answer, (405, "method_not_allowed".to_owned()), "{method} {path}");
        }
    }
    for path in ["/api/skills", "/genie/api/skills"] {
        let head = ann.request(Method::HEAD, path).send().await?;
        let get = ann.get(path).send().await?;
        assert_eq!(head.status(), get.status(), "{path}");
        let list: Value = get.json().await?;
        assert_eq!(list["success"], true, "{path}");
    }
    world.app.stop().await
}
