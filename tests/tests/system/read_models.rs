use annals_tests::app::TestApp;
use chrono::{DateTime, Utc};
use domain::{
    Metadata,
    document::BlobHash,
    ids::UploadId,
    upload::{self, Upload},
    version::{Artifact, Command, Offer, Release, Version},
};
use projections::{
    uploads,
    versions::{self, Row},
};
use sqlx::types::Json;
use uuid::Uuid;

fn metadata() -> Metadata {
    Metadata::system(Uuid::now_v7())
}

fn release(at: &str, notes: &str) -> Release {
    let artifacts = vec![Artifact { platform: "linux-x86_64".into(), ..Artifact::default() }];
    Release { notes: notes.into(), published_at: at.parse().unwrap(), artifacts }
}

async fn perform(app: &TestApp, version: &str, command: Command) {
    let version = Version::parse(version).unwrap();
    app.app.execute::<Offer>(&version, &command, &metadata()).await.unwrap();
}

async fn names(app: &TestApp) -> Vec<String> {
    app.settled().await.unwrap();
    let rows = versions::newest_first(&app.app.db).await.unwrap();
    rows.into_iter().map(|row| row.version).collect()
}

/// The read model is what a second fold of the log gives.
async fn is_a_fold(app: &TestApp, name: &str) {
    let comparison = app.app.projections.compare(name).await.unwrap();
    assert!(comparison.difference.is_none(), "{name}: {}", comparison.difference.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_in_the_order_they_came_out_and_else_in_their_own() {
    let app = TestApp::start().await.unwrap();
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (version, at) in
        [("1.10.0", old), ("0.9.1", new), ("1.9.0", old), ("nightly", old), ("1.10.0-rc.1", old)]
    {
        perform(&app, version, Command::Publish(release(at, ""))).await;
    }
    assert_eq!(names(&app).await, ["0.9.1", "1.10.0", "1.10.0-rc.1", "1.9.0", "nightly"]);
    perform(&app, "1.9.0", Command::Import(release(new, "again"))).await;
    perform(&app, "0.9.1", Command::Withdraw).await;
    assert_eq!(names(&app).await, ["1.9.0", "1.10.0", "1.10.0-rc.1", "nightly"]);
    let Release { notes, published_at, artifacts } = release(new, "again");
    let expected = Row { version: "1.9.0".into(), notes, published_at, artifacts: Json(artifacts) };
    assert_eq!(versions::newest(&app.app.db).await.unwrap(), Some(expected));
    is_a_fold(&app, "versions").await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_a_row() {
    let app = TestApp::start().await.unwrap();
    let (id, before) = (UploadId(Uuid::new_v4()), Utc::now());
    let command = upload::Command::Keep {
        owner: "ann".into(),
        key: "a/猫.png".into(),
        blob: BlobHash("ab".repeat(32)),
        size: 7,
        media_type: "image/png".into(),
    };
    app.app.execute::<Upload>(&id, &command, &metadata()).await.unwrap();
    app.settled().await.unwrap();
    let row = uploads::get(&app.app.db, id).await.unwrap().unwrap();
    let recorded: DateTime<Utc> = row.uploaded_at;
    assert!((before..=Utc::now()).contains(&recorded), "{recorded}");
    assert_eq!((row.owner.as_str(), row.path.as_str()), ("ann", "a/猫.png"));
    assert_eq!((row.blob, row.size), ("ab".repeat(32), 7));
    assert_eq!(row.media_type, "image/png");
    assert_eq!(uploads::get(&app.app.db, UploadId(Uuid::new_v4())).await.unwrap(), None);
    is_a_fold(&app, "uploads").await;
    app.stop().await.unwrap();
}
