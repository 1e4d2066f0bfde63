use crate::{
    queue::over,
    world::{SECRET, World, ask, good, refused},
};
use annals_tests::{
    app::Person,
    form::Form,
    process::{Folder, Setup, eventually},
    skill_archive::zip,
};
use anyhow::{Context, Result};
use domain::user::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::fmt::Write;
use uuid::Uuid;

const PATH: &str = "/api/onboarding";

fn go(who: &Person, state: &str) -> RequestBuilder {
    who.request(Method::PATCH, PATH).json(&json!({"state": state}))
}

fn send(who: &Person, archive: &[u8]) -> RequestBuilder {
    let form = Form::default().raw(b"name=\"file\"; filename=\"export.zip\"", archive);
    let request = who.post("/api/onboarding/zip-upload").header("content-type", form.media_type());
    request.body(form.end())
}

async fn state(who: &Person) -> Result<String> {
    let shown = good(who.get(PATH)).await?;
    Ok(shown["state"].as_str().context("a state")?.to_owned())
}

fn job(sent: &Value) -> Result<Uuid> {
    Ok(sent["jobId"].as_str().context("a job")?.parse()?)
}

#[tokio::test]
async fn people_go_from_station_to_station() -> Result<()> {
    let world = World::start().await?;
    let (ann, vic) = (world.creator("ann").await?, world.person("vic", Role::Viewer).await?);
    let fresh = good(ann.get(PATH)).await?;
    assert_eq!(fresh, good(ann.get("/api/onboarding/state")).await?);
    assert_eq!(fresh["state"], "EXTENSION_INSTALL");
    let (status, told) = ask(go(&ann, "COMPLETE")).await?;
    assert_eq!((status, &told["error"]), (400, &json!("invalid_transition")));
    assert_eq!((&told["from"], &told["to"]), (&json!("EXTENSION_INSTALL"), &json!("COMPLETE")));
    assert_eq!(told["allowed"], json!(["DATA_COLLECTION"]));
    for bad in ["", "complete", "DONE"] {
        assert_eq!(refused(go(&ann, bad)).await?.0, 400, "{bad}");
    }
    let moved = good(go(&ann, "DATA_COLLECTION")).await?;
    assert_eq!(moved["previousState"], "EXTENSION_INSTALL");
    good(go(&ann, "DATA_COLLECTION")).await?;
    assert_eq!(world.count("OnboardingStateChanged").await?, 1);
    for next in ["PROCESSING", "DATA_COLLECTION", "PROCESSING", "COMPLETE"] {
        good(go(&ann, next)).await?;
    }
    assert_eq!(refused(go(&ann, "PROCESSING")).await?.0, 400, "final for people");
    let back = json!({"state": "PROCESSING", "userId": ann.user});
    assert_eq!(refused(vic.request(Method::PATCH, PATH).json(&back)).await?.0, 403);
    let bob = world.creator("bob").await?;
    assert_eq!(refused(bob.request(Method::PATCH, PATH).json(&back)).await?.0, 404);
    let server = world.app.nobody()?.request(Method::PATCH, PATH).header(SECRET.0, SECRET.1);
    good(server.json(&back)).await?;
    assert_eq!(state(&ann).await?, "PROCESSING");
    good(world.admin().await?.request(Method::PATCH, PATH).json(&json!({
        "state": "EXTENSION_INSTALL", "userId": ann.user,
    })))
    .await?;
    assert_eq!(state(&ann).await?, "EXTENSION_INSTALL");
    world.app.stop().await
}

#[tokio::test]
async fn an_export_is_taken_in_and_completes_the_onboarding() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let persona =
        json!({"bio": "猫", "tone": "calm", "role": "Administrator", "language": "no good"});
    let archive = zip(&[
        ("export/persona.json", persona.to_string().as_bytes()),
        ("export/fans.csv", b"platform,platform_fan_id,name,total_spend\nx,1,Bo,5\nx,2,,-1\n"),
        ("fans.json", br#"[{"id":"3","platform":"x","memories":["tea"]}]"#),
        ("photo.jpg", b"\xff\xd8"),
    ])?;
    assert_eq!(refused(send(&ann, &archive)).await?, (400, "invalid_transition".to_owned()));
    good(go(&ann, "DATA_COLLECTION")).await?;
    let sent = good(send(&ann, &archive)).await?;
    assert!(sent["filePath"].as_str().is_some_and(|path| !path.starts_with('/')), "{sent}");
    let done = over(&ann, job(&sent)?).await?;
    assert_eq!((&done["status"], &done["queue"]), (&json!("completed"), &json!("onboarding-jobs")));
    let result = &done["result"];
    assert_eq!((&result["fans"], &result["skipped"]), (&json!(3), &json!(2)), "{result}");
    assert_eq!(state(&ann).await?, "COMPLETE");
    world.app.settled().await?;
    let fans = good(ann.get("/api/fans?sort=display_name")).await?;
    let names: Vec<_> = fans["data"].as_array().context("a list")?.iter().collect();
    assert_eq!((names.len(), &names[0]["display_name"]), (2, &json!("3")));
    let profile = good(ann.get("/api/user-proxy")).await?["data"].clone();
    assert_eq!((&profile["persona"]["bio"], &profile["role"]), (&json!("猫"), &json!("Creator")));
    assert_eq!(refused(send(&ann, &archive)).await?.0, 400, "it is complete");
    world.app.stop().await
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_one_that_cannot_be_read_fails() -> Result<()> {
    let world = World::start().await?;
    let (ann, vic) = (world.creator("ann").await?, world.person("vic", Role::Viewer).await?);
    good(go(&ann, "DATA_COLLECTION")).await?;
    let fans = ("fans.json", &b"[]"[..]);
    let whole = zip(&[fans])?;
    let spaces = vec![b' '; 16 << 20];
    let head = world.app.app.log.head().await?;
    for bad in [
        &b""[..],
        b"not a zip",
        &whole[..whole.len() - 5],
        &zip(&[("readme.txt", b"hi")])?,
        &zip(&[fans, ("../../etc/passwd", b"x")])?,
        &zip(&[("fans.json", &spaces)])?,
    ] {
        assert_eq!(refused(send(&ann, bad)).await?, (400, "invalid_archive".to_owned()));
    }
    assert_eq!(refused(send(&vic, &whole)).await?.0, 403);
    assert_eq!(refused(send(&world.app.nobody()?, &whole)).await?.0, 401);
    assert_eq!(refused(ann.post("/api/onboarding/zip-upload").json(&json!({}))).await?.0, 415);
    assert_eq!(world.app.app.log.head().await?, head);
    // It looks like an export, and is none.
    let sent = good(send(&ann, &zip(&[("fans.json", b"{")])?)).await?;
    let failed = over(&ann, job(&sent)?).await?;
    let why = failed["error_message"].as_str().context("why")?;
    assert!(failed["status"] == "failed" && why.contains("fans.json"), "{failed}");
    eventually(
        "the way back",
        async || Ok((state(&ann).await? == "DATA_COLLECTION").then_some(())),
    )
    .await?;
    let sent = good(send(&ann, &whole)).await?;
    assert_eq!(over(&ann, job(&sent)?).await?["status"], "completed");
    assert_eq!(state(&ann).await?, "COMPLETE");
    let foreign = json!({"jobId": Uuid::new_v4(), "operation": "onboarding_import",
                         "inputFileId": sent["fileId"]});
    let bob = world.creator("bob").await?;
    let theirs = good(bob.post("/api/queue/media").json(&foreign)).await?;
    assert_eq!(over(&bob, job(&theirs)?).await?["error_message"], "there is no such file");
    world.app.stop().await
}

#[tokio::test]
async fn an_import_survives_the_death_of_its_server() -> Result<()> {
    const FANS: usize = 3_000;
    let folder = Folder::new("genie-import");
    let setup = Setup::embedded(&folder.path().join("data"));
    let server = setup.start().await?;
    let admin = server.admin().await?;
    good(go(&admin, "DATA_COLLECTION")).await?;
    let mut table = "platform,platform_fan_id,handle,memories\n".to_owned();
    for number in 0..FANS {
        writeln!(table, "x,{number},fan{number},likes {number}")?;
    }
    let sent = good(send(&admin, &zip(&[("fans.csv", table.as_bytes())])?)).await?;
    let total = async |who: &Person| -> Result<u64> {
        let page = good(who.get("/api/fans?limit=1")).await?;
        page["meta"]["total_count"].as_u64().context("a number")
    };
    eventually("the first fans", async || Ok((total(&admin).await? > 20).then_some(()))).await?;
    server.kill()?;
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let job = over(&admin, job(&sent)?).await?;
    assert_eq!((&job["status"], &job["retry_count"]), (&json!("completed"), &json!(1)), "{job}");
    assert_eq!(job["result"]["fans"], FANS);
    assert_eq!(state(&admin).await?, "COMPLETE");
    eventually("all fans", async || Ok((total(&admin).await? == FANS as u64).then_some(())))
        .await?;
    for kind in ["FanUpserted", "FanAccountLinked", "FanMemoryAdded"] {
        let written = setup.run(&["events", "--category", "fan", "--type", kind]).await?;
        assert_eq!(written.lines().count(), FANS, "{kind}: each once");
    }
    server.stop().await
}
