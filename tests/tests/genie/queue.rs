use crate::world::{World, ask, good, refused};
use annals_tests::{
    app::Person,
    process::{Folder, Setup, eventually},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use uuid::Uuid;

/// One white pixel.
pub const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x7e, 0x9b,
    0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0x0f, 0x00, 0x01,
    0x01, 0x01, 0x00, 0x1c, 0xb0, 0x8c, 0x99, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae,
    0x42, 0x60, 0x82,
];

/// An uploaded picture of somebody.
async fn picture(who: &Person) -> Result<String> {
    upload(who, "p.png", "image/png", PIXEL).await
}

/// What passes for an uploaded film of somebody.
async fn film(who: &Person) -> Result<String> {
    upload(who, "f.mp4", "video/mp4", b"not a picture").await
}

async fn upload(who: &Person, name: &str, media_type: &str, bytes: &[u8]) -> Result<String> {
    let head = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    let form = [head.as_bytes(), bytes, b"\r\n--b--\r\n"].concat();
    let upload = who.post("/api/oss/upload");
    let upload = upload.header("content-type", "multipart/form-data; boundary=b").body(form);
    let stored = good(upload).await?;
    let url = stored["data"]["url"].as_str().context("a link")?;
    let id = url.split("/api/oss/files/").nth(1).and_then(|rest| rest.split('/').next());
    Ok(id.context("an id")?.to_owned())
}

async fn enqueue(who: &Person, id: Uuid, operation: &str, more: Value) -> Result<(u16, Value)> {
    let mut body = json!({"jobId": id, "operation": operation});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    ask(who.post("/api/queue/media").json(&body)).await
}

pub async fn over(who: &Person, id: Uuid) -> Result<Value> {
    eventually("the end of the job", async || {
        let (status, answer) = ask(who.get(&format!("/api/queue/jobs/{id}"))).await?;
        let job = &answer["job"];
        let over = status == 200 && (job["status"] == "completed" || job["status"] == "failed");
        Ok(over.then(|| job.clone()))
    })
    .await
}

#[tokio::test]
async fn a_picture_is_worked_on_and_charged_once() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let (file, id) = (picture(&ann).await?, Uuid::new_v4());
    let more = json!({"inputFileId": file, "params": {"width": 4, "height": 3, "fit": "exact"}});
    let first = enqueue(&ann, id, "resize_image", more.clone()).await?;
    assert_eq!(
        (first.0, &first.1["jobId"], &first.1["queue"]),
        (200, &json!(id), &json!("media-jobs"))
    );
    let job = over(&ann, id).await?;
    assert_eq!((&job["status"], &job["progress"]), (&json!("completed"), &json!(100)), "{job}");
    assert_eq!((&job["result"]["width"], &job["result"]["type"]), (&json!(4), &json!("image/png")));
    let again = enqueue(&ann, id, "resize_image", more).await?;
    assert_eq!((again.0, &again.1["bullJobId"]), (200, &first.1["bullJobId"]));
    let other = enqueue(&ann, id, "crop_image", json!({})).await?;
    assert_eq!((other.0, &other.1["error"]), (400, &json!("job_conflict")));
    assert_eq!(good(ann.get("/api/usage")).await?["usage"]["media_modifications"], 1);
    let counted = json!({"operation": "media_modifications", "ref": id});
    let counted = good(ann.post("/api/usage/increment").json(&counted)).await?;
    assert_eq!(counted["newValue"], 1, "the job was charged already");
    let stats = good(ann.get("/api/queue/stats")).await?;
    let done = json!({"waiting": 0, "active": 0, "completed": 1, "failed": 0, "delayed": 0});
    assert_eq!(stats["stats"]["media-jobs"], done);
    assert!(stats["stats"]["scrape-jobs"]["waiting"] == 0 && stats["taxonomy_cache"]["size"] == 0);
    world.app.stop().await
}

#[tokio::test]
async fn nothing_pretends_to_have_worked_and_what_failed_is_given_back() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let file = picture(&ann).await?;
    let input = json!({"inputFileId": file, "inputUrl": "https://example.org/"});
    for (operation, told) in [
        ("compress_video", "ANNALS_FFMPEG"),
        ("ytdlp_info", "ANNALS_YTDLP"),
        ("publish_post", "driver_not_configured"),
        ("scrape_profile", "driver_not_configured"),
        ("convert_image", "format is required"),
    ] {
        let id = Uuid::new_v4();
        assert_eq!(enqueue(&ann, id, operation, input.clone()).await?.0, 200);
        let job = over(&ann, id).await?;
        let message = job["error_message"].as_str().unwrap_or_default();
        assert!(job["status"] == "failed" && message.contains(told), "{job}");
    }
    eventually("what was given back", async || {
        let usage = good(ann.get("/api/usage")).await?;
        Ok((usage["usage"]["media_modifications"] == 0).then_some(()))
    })
    .await?;
    world.app.stop().await
}

#[tokio::test]
async fn a_failed_job_is_tried_again_and_only_a_failed_one() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let id = Uuid::new_v4();
    enqueue(&ann, id, "convert_image", json!({"inputFileId": picture(&ann).await?})).await?;
    over(&ann, id).await?;
    let retry = |who: &Person, id: Uuid| who.post(&format!("/api/queue/retry/{id}"));
    assert_eq!(refused(retry(&bob, id)).await?.0, 404);
    assert_eq!(refused(retry(&ann, Uuid::new_v4())).await?.0, 404);
    let retried = good(retry(&ann, id)).await?;
    assert_eq!((&retried["status"], &retried["retry_count"]), (&json!("queued"), &json!(1)));
    assert_eq!(over(&ann, id).await?["priority"], 5);
    let good_one = Uuid::new_v4();
    let more = json!({"inputFileId": picture(&ann).await?, "params": {"format": "jpeg"}});
    enqueue(&ann, good_one, "convert_image", more).await?;
    over(&ann, good_one).await?;
    let (status, body) = ask(retry(&ann, good_one)).await?;
    let told = (status, &body["error"], &body["status"]);
    assert_eq!(told, (400, &json!("job_not_failed"), &json!("completed")));
    world.app.stop().await
}

/// §16.12
#[tokio::test]
async fn jobs_and_files_of_others_do_not_exist() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let (file, id) = (picture(&ann).await?, Uuid::new_v4());
    let more = json!({"inputFileId": file, "params": {"format": "jpeg"}});
    enqueue(&ann, id, "convert_image", more.clone()).await?;
    assert_eq!(refused(bob.get(&format!("/api/queue/jobs/{id}"))).await?.0, 404);
    assert_eq!(enqueue(&bob, id, "convert_image", more.clone()).await?.0, 404);
    let own = Uuid::new_v4();
    enqueue(&bob, own, "convert_image", more).await?;
    assert_eq!(over(&bob, own).await?["error_message"], "there is no such file");
    for body in [json!({}), json!({"jobId": id}), json!({"jobId": "x", "operation": "crop_image"})]
    {
        assert_eq!(refused(ann.post("/api/queue/media").json(&body)).await?.0, 400, "{body}");
    }
    assert_eq!(enqueue(&ann, Uuid::new_v4(), "rm", json!({})).await?.0, 400);
    world.app.stop().await
}

/// §16.9
#[tokio::test]
async fn a_job_survives_the_death_of_its_server() -> Result<()> {
    let folder = Folder::new("genie-jobs");
    let program = program(&folder, SLOW)?;
    let mark = folder.path().join("begun");
    let data = folder.path().join("data");
    let setup = Setup::embedded(&data).with("ANNALS_FFMPEG", &program);
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let id = Uuid::new_v4();
    let more = json!({"inputFileId": picture(&admin).await?});
    assert_eq!(enqueue(&admin, id, "compress_video", more).await?.0, 200);
    eventually("the begun attempt", async || Ok(mark.exists().then_some(()))).await?;
    server.kill()?;
    std::fs::write(folder.path().join("go"), "")?;
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let job = over(&admin, id).await?;
    assert_eq!((&job["status"], &job["retry_count"]), (&json!("completed"), &json!(1)), "{job}");
    let usage = good(admin.get("/api/usage")).await?;
    assert_eq!(usage["usage"]["media_modifications"], 1, "charged once");
    server.stop().await
}

/// A program that stands for `ffmpeg` and `yt-dlp`: notes its arguments, says how far it is, waits for `go`.
fn program(folder: &Folder, text: &str) -> Result<String> {
    let program = folder.path().join("program");
    std::fs::create_dir_all(folder.path())?;
    std::fs::write(&program, text)?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(program.to_string_lossy().into_owned())
}

#[tokio::test]
async fn a_job_that_is_going_on_may_end_when_the_server_goes_down() -> Result<()> {
    let folder = Folder::new("genie-jobs");
    let program = program(&folder, SLOW)?;
    let data = folder.path().join("data");
    let setup = Setup::embedded(&data).with("ANNALS_FFMPEG", &program);
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let (id, next) = (Uuid::new_v4(), Uuid::new_v4());
    let more = json!({"inputFileId": picture(&admin).await?});
    for id in [id, next] {
        assert_eq!(enqueue(&admin, id, "compress_video", more.clone()).await?.0, 200);
    }
    let mark = folder.path().join("begun");
    eventually("the begun attempt", async || Ok(mark.exists().then_some(()))).await?;
    let go = folder.path().join("go");
    let down = async {
        eventually("a server that goes down", async || {
            Ok(admin.get("/readyz").send().await.is_err().then_some(()))
        })
        .await?;
        Ok(std::fs::write(go, "")?)
    };
    tokio::try_join!(server.stop(), down)?;
    let server = setup.start().await?;
    let admin = server.admin().await?;
    for id in [id, next] {
        let job = over(&admin, id).await?;
        assert_eq!(
            (&job["status"], &job["retry_count"]),
            (&json!("completed"), &json!(0)),
            "{job}"
        );
    }
    server.stop().await
}

#[tokio::test]
async fn films_are_marked_and_tell_how_far_they_are() -> Result<()> {
    let folder = Folder::new("genie-jobs");
    let program = program(&folder, SLOW)?;
    let world = World::with(&[("ANNALS_FFMPEG", &program)]).await?;
    let ann = world.creator("ann").await?;
    let mark = picture(&ann).await?;
    let film = film(&ann).await?;
    let teaser = Uuid::new_v4();
    let more = json!({"inputFileId": film, "params": {"duration": 8}});
    enqueue(&ann, teaser, "create_teaser", more).await?;
    eventually("half of the job", async || {
        let job = good(ann.get(&format!("/api/queue/jobs/{teaser}"))).await?;
        Ok((job["job"]["progress"] == 50).then_some(()))
    })
    .await?;
    std::fs::write(folder.path().join("go"), "")?;
    assert_eq!(over(&ann, teaser).await?["progress"], 100);
    assert_eq!(world.count("JobProgressed").await?, 1);
    let marked = Uuid::new_v4();
    let params = json!({"watermark_file_id": mark, "position": "top-left", "opacity": 40});
    let more = json!({"inputFileId": film, "params": params});
    enqueue(&ann, marked, "apply_watermark", more).await?;
    let job = over(&ann, marked).await?;
    assert_eq!(
        (&job["status"], &job["result"]["type"]),
        (&json!("completed"), &json!("video/mp4"))
    );
    let arguments = std::fs::read_to_string(folder.path().join("arguments"))?;
    assert!(arguments.contains("-i in1") && arguments.contains("aa=0.4"), "{arguments}");
    assert!(arguments.contains("overlay=0:0"), "{arguments}");
    let without = Uuid::new_v4();
    enqueue(&ann, without, "apply_watermark", json!({"inputFileId": film})).await?;
    assert_eq!(over(&ann, without).await?["error_message"], "watermark_file_id is required");
    world.app.stop().await
}

#[tokio::test]
async fn a_downloader_gets_out_through_the_guard_only() -> Result<()> {
    let folder = Folder::new("genie-jobs");
    let told = "#!/bin/sh\nfor a; do [ \"$before\" = --proxy ] && proxy=$a; before=$a; done\n\
                echo \"{\\\"title\\\": \\\"$proxy\\\"}\"\n";
    let program = program(&folder, told)?;
    let world = World::with(&[("ANNALS_YTDLP", &program)]).await?;
    let ann = world.creator("ann").await?;
    let id = Uuid::new_v4();
    let more = json!({"inputUrl": "https://example.org/film"});
    enqueue(&ann, id, "ytdlp_info", more).await?;
    let job = over(&ann, id).await?;
    let proxy = job["result"]["title"].as_str().context("a proxy")?;
    assert!(proxy.starts_with("http://127.0.0.1:"), "{job}");
    for url in ["http://127.0.0.1:1/", "http://[::1]/", "file:///etc/passwd", "--exec=id"] {
        let id = Uuid::new_v4();
        enqueue(&ann, id, "ytdlp_info", json!({"inputUrl": url})).await?;
        assert_eq!(over(&ann, id).await?["status"], "failed", "{url}");
    }
    world.app.stop().await
}

/// Notes its arguments, tells how far it is, waits for `go`, then does as if it had worked.
const SLOW: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/arguments"
touch "$here/begun"
echo out_time_us=4000000
while [ ! -e "$here/go" ]; do sleep 0.05; done
for last; do :; done
echo film > "$last"
"#;
