//! The command line: the real binary beside a running node, on the node's database.
#![expect(clippy::unwrap_used, reason = "tests")]

use annals_tests::app::{PASSWORD, TestApp};
use domain::{Position, user::Role};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::process::{Output, Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};
use uuid::Uuid;

/// `annals` with these arguments on the node's database.
fn annals(app: &TestApp, arguments: &[&str]) -> Command {
    let mut command = Command::new(annals_tests::binary::annals().unwrap());
    command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.env("DATABASE_URL", app.database_url()).env("ANNALS_DATA", &app.app.config.data);
    let key = app.app.config.master_key.as_ref().unwrap();
    command.env("ANNALS_MASTER_KEY", key.expose());
    command
}

async fn run(app: &TestApp, arguments: &[&str]) -> Output {
    annals(app, arguments).output().await.unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_made_on_the_command_line_can_sign_in() {
    let app = TestApp::start().await.unwrap();
    let mut create = annals(&app, &["user", "create", "Zoë", "--password", "-", "--role", "admin"]);
    let mut child = create.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    drop(stdin);
    assert!(child.wait_with_output().await.unwrap().status.success());
    app.settled().await.unwrap();
    let login = json!({"username_or_email": "Zoë", "password": PASSWORD});
    let nobody = app.nobody().unwrap();
    let answer = nobody.post("/api/auth/login").json(&login).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], 200);

    let token = run(&app, &["user", "token", "Zoë"]).await;
    let token = out(&token).trim();
    assert!(token.len() == 40 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    let as_zoe = |path: &str| nobody.get(path).header("authorization", format!("Token {token}"));
    assert_eq!(as_zoe("/v1/events").send().await.unwrap().status(), 200);
    // All of it is in force when the command has ended.
    assert!(run(&app, &["user", "role", "Zoë", "viewer"]).await.status.success());
    assert_eq!(as_zoe("/v1/events").send().await.unwrap().status(), 403);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_with_its_code() {
    let app = TestApp::start().await.unwrap();
    app.user("ann", Role::Creator).await.unwrap();
    for (arguments, code, words) in [
        (&["user", "create", "ann"][..], 1, "taken"),
        (&["user", "token", "nobody"], 1, "no such user"),
        (&["user", "create", "bob", "--role", "king"], 2, "Administrator"),
        (&["user", "create", "bob", "--password", "-"], 1, "standard input"),
        (&["rebuild", "nothing"], 1, "conversations"),
        (&["frobnicate"], 2, "frobnicate"),
    ] {
        let output = run(&app, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(words), "{arguments:?}: {}", err(&output));
    }
    let slip = annals(&app, &["config"]).env("ANNALS_LISTN", "x").output().await.unwrap();
    assert_eq!(slip.status.code(), Some(2));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_as_the_native_api_tells_them_and_followed() {
    let app = TestApp::start().await.unwrap();
    let admin = app.user("ann", Role::Administrator).await.unwrap();
    let head = app.settled().await.unwrap().0;
    let output = run(&app, &["events"]).await;
    let lines: Vec<Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let page: Value =
        admin.get("/v1/events?limit=1000").send().await.unwrap().json().await.unwrap();
    assert_eq!(Value::from(lines), page["events"]);

    let after = head.to_string();
    let mut follow = annals(&app, &["events", "--follow", "--after", &after, "--limit", "3"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    app.user("bob", Role::Creator).await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for position in head + 1..=head + 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["position"], position);
    }
    assert!(child.wait().await.unwrap().success());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_changed_row_and_rebuild_puts_it_right() {
    let app = TestApp::start().await.unwrap();
    app.user("ann", Role::Creator).await.unwrap();
    let fine = run(&app, &["verify"]).await;
    assert_eq!(fine.status.code(), Some(0), "{}{}", out(&fine), err(&fine));
    let mut db = PgConnection::connect(&app.database_url()).await.unwrap();
    sqlx::query("update users set email = 'eve@example.org' where username = 'ann'")
        .execute(&mut db)
        .await
        .unwrap();
    let broken = run(&app, &["verify"]).await;
    assert_eq!(broken.status.code(), Some(1));
    assert!(out(&broken).contains("table users"), "{}", out(&broken));
    assert!(out(&broken).contains("eve@example.org"), "{}", out(&broken));
    let rebuilt = run(&app, &["rebuild", "users"]).await;
    assert!(rebuilt.status.success(), "{}", err(&rebuilt));
    assert_eq!(run(&app, &["verify"]).await.status.code(), Some(0));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_changed_event() {
    let app = TestApp::start().await.unwrap();
    app.user("ann", Role::Creator).await.unwrap();
    assert!(app.settled().await.unwrap() > Position(2));
    let mut db = PgConnection::connect(&app.database_url()).await.unwrap();
    for statement in [
        "alter table events disable trigger append_only",
        "update events set data = '{\"forged\": true}' where position = 2",
    ] {
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }
    let broken = run(&app, &["verify"]).await;
    assert_eq!(broken.status.code(), Some(1), "{}", err(&broken));
    assert!(out(&broken).contains("position"), "{}", out(&broken));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_starts_the_embedded_database_for_its_own_time() {
    let data = std::env::temp_dir().join(format!("annals-cli-{}", Uuid::new_v4().simple()));
    let alone = async |arguments: &[&str]| {
        let mut command = Command::new(annals_tests::binary::annals().unwrap());
        command.args(arguments).env_remove("DATABASE_URL").env("ANNALS_DATA", &data);
        command.kill_on_drop(true).stdin(Stdio::null()).output().await.unwrap()
    };
    let created = alone(&["user", "create", "ann", "--role", "admin"]).await;
    assert!(created.status.success(), "{}", err(&created));
    assert!(out(&created).lines().any(|line| line.starts_with("password: ")), "{}", out(&created));
    let events = alone(&["events", "--type", "UserRegistered"]).await;
    let event: Value = serde_json::from_str(out(&events).trim()).unwrap();
    assert_eq!(event["data"]["username"], "ann");
    let verified = alone(&["verify"]).await;
    assert_eq!(verified.status.code(), Some(0), "{}{}", out(&verified), err(&verified));
    assert!(!data.join("postgres/postmaster.pid").exists(), "the database was left running");
    std::fs::remove_dir_all(data).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let app = TestApp::start().await.unwrap();
    app.user("ann", Role::Creator).await.unwrap();
    let mut events = annals(&app, &["events", "--follow"]);
    let mut child = events.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().is_some());
    drop(lines);
    // The next event finds nobody to be told to.
    app.user("bob", Role::Creator).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_invitation_is_made_on_the_command_line() {
    let app = TestApp::start().await.unwrap();
    let made = run(&app, &["invite", "create", "--uses", "2", "--days", "7"]).await;
    let code = out(&made).trim().to_owned();
    assert!(made.status.success() && code.len() >= 16, "{}", err(&made));
    let body = json!({"email": "a@example.org", "password": PASSWORD, "inviteCode": code});
    let answer = app.nobody().unwrap().post("/api/register").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let listed = run(&app, &["invite", "list"]).await;
    assert!(out(&listed).contains(" pending 1/2 ") && !out(&listed).contains(&code));
    assert_eq!(out(&run(&app, &["invite", "disable", &code]).await).trim(), "disabled");
    assert!(out(&run(&app, &["invite", "list"]).await).contains(" disabled "));
    assert!(!run(&app, &["invite", "disable", "nothing"]).await.status.success());
    assert!(!run(&app, &["invite", "create", "--uses", "0"]).await.status.success());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_works_and_what_does_not() {
    let app = TestApp::start().await.unwrap();
    let mut doctor = annals(&app, &["doctor", "--json"]);
    doctor.env("ANNALS_LISTEN", "127.0.0.1:0").env("NATS_URL", "nats://ann:hunter2@127.0.0.1:1");
    let output = doctor.output().await.unwrap();
    let findings: Vec<Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let level = |area: &str| {
        let found = findings.iter().find(|finding| finding["area"] == area);
        found.unwrap_or_else(|| panic!("{area}: {findings:?}"))["level"].clone()
    };
    for area in ["data folder", "database", "pgvector", "clock", "schema", "read models"] {
        assert_eq!(level(area), "fine", "{area}: {findings:?}");
    }
    assert_eq!((level("chat model"), level("NATS")), (json!("advice"), json!("trouble")));
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(!out(&output).contains("hunter2"), "{}", out(&output));
    let foreign = annals(&app, &["doctor"]).env("ANNALS_MASTER_KEY", "A".repeat(43) + "=").output();
    let foreign = foreign.await.unwrap();
    assert!(out(&foreign).contains("another master key"), "{}", out(&foreign));
    app.stop().await.unwrap();
}

#[tokio::test]
async fn shells_and_manuals_know_the_subcommands() {
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["man"]] {
        let mut command = Command::new(annals_tests::binary::annals().unwrap());
        let output = command.args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", err(&output));
        assert!(out(&output).contains("rebuild"), "{arguments:?}: {}", out(&output));
    }
}
