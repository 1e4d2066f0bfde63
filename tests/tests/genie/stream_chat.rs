use crate::world::{World, ask, good, refused};
use annals_tests::{
    app::Person,
    model_server::{ModelServer, Script, text},
};
use anyhow::{Context, Result, ensure};
use domain::user::Role;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

pub const PATH: &str = "/api/genie/stream-chat";

/// A node with a scripted model beside it.
pub struct Room {
    pub model: ModelServer,
    pub world: World,
}

impl Room {
    pub async fn open(more: &[(&str, &str)]) -> Result<Self> {
        let model = ModelServer::start(Script::default()).await?;
        let url = model.base_url();
        let mut settings =
            vec![("ANNALS_LLM_BASE_URL", url.as_str()), ("ANNALS_LLM_MODEL", "test-model")];
        settings.extend(more);
        let world = World::with(&settings).await?;
        Ok(Self { model, world })
    }

    /// Somebody who has come all the way in.
    pub async fn settled(&self, name: &str) -> Result<Person> {
        let person = self.world.creator(name).await?;
        for state in ["DATA_COLLECTION", "PROCESSING", "COMPLETE"] {
            let path = "/api/onboarding";
            let moved = person.request(reqwest::Method::PATCH, path);
            good(moved.json(&json!({ "state": state }))).await?;
        }
        Ok(person)
    }

    /// The texts of the last call's messages.
    pub fn told(&self) -> Vec<String> {
        let calls = self.model.calls().all();
        let messages = calls.last().and_then(|call| call.body["messages"].as_array().cloned());
        let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
        messages.iter().flatten().map(text).collect()
    }

    pub async fn close(self) -> Result<()> {
        self.world.app.settled().await?;
        annals_tests::audit::audit(&self.world.app.database_url()).await?;
        self.world.app.stop().await
    }
}

pub fn chat(who: &Person, message: &str) -> RequestBuilder {
    who.post(PATH).json(&json!({ "message": message }))
}

/// The events in a body, each a line of data and nothing else; the end comes last and once.
pub fn events(body: &str) -> Result<Vec<Value>> {
    let mut events: Vec<Value> = Vec::new();
    for event in body.split_terminator("\n\n") {
        if event.starts_with(": ") {
            continue;
        }
        let data = event.strip_prefix("data: ").with_context(|| event.to_owned())?;
        ensure!(!data.contains('\n'), "{data}");
        events.push(serde_json::from_str(data)?);
    }
    let ends = events.iter().filter(|event| event["type"] == "finalizeResponseStream").count();
    ensure!(ends == 1 && events.last().is_some_and(|last| last["close"] == true), "{body}");
    Ok(events)
}

/// The run and the events of a message's answer.
pub async fn answered(request: RequestBuilder) -> Result<(String, Vec<Value>)> {
    let response = request.send().await?;
    ensure!(response.status() == 200, "{}", response.status());
    let run = response.headers().get("x-run-id").context("a run")?.to_str()?.to_owned();
    Ok((run, events(&response.text().await?)?))
}

pub fn text_in(events: &[Value]) -> String {
    let chunks = events.iter().filter(|event| event["type"] == "textResponseChunk");
    chunks.filter_map(|chunk| chunk["textResponse"].as_str()).collect()
}

pub fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

/// §16.2
#[tokio::test]
async fn an_answer_comes_in_the_order_of_the_contract() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let response = chat(&ann, "Hello 👋\nthere").send().await?;
    let header = |name: &str| response.headers()[name].to_str().map(str::to_owned);
    assert_eq!(header("content-type")?, "text/event-stream");
    assert_eq!(header("cache-control")?, "no-cache");
    assert_eq!(header("x-accel-buffering")?, "no");
    let run = header("x-run-id")?;
    let body = response.text().await?;
    let events = events(&body)?;
    let mut expected = vec!["stage_update"; 2];
    expected.extend(["textResponseChunk"; 10]);
    expected.extend(["stage_update", "finalizeResponseStream"]);
    assert_eq!(types(&events), expected);
    let moods: Vec<&Value> = events.iter().filter_map(|event| event.get("mood")).collect();
    assert_eq!(moods, ["thinking", "focused", "idle"]);
    assert_eq!(text_in(&events), text(10));
    for event in &events {
        assert_eq!(event["error"], false);
        let last = event["type"] == "finalizeResponseStream";
        assert_eq!(event["close"], last);
        if event["type"] != "stage_update" {
            assert_eq!((&event["uuid"], &event["sources"]), (&json!(run), &json!([])));
        }
    }
    let end = events.last().context("an end")?;
    assert_eq!(end["chatId"], json!(run));
    assert!(end["metrics"]["completion_tokens"].as_u64() > Some(0), "{end}");
    assert_eq!(room.told().last().map(String::as_str), Some("Hello 👋\nthere"));
    room.close().await
}

#[tokio::test]
async fn a_chat_goes_on_and_is_nobody_elses() -> Result<()> {
    let room = Room::open(&[]).await?;
    let (ann, bob) = (room.settled("ann").await?, room.settled("bob").await?);
    let said = |message: &str| json!({"message": message, "sessionId": "s"});
    answered(ann.post(PATH).json(&said("I am Ann"))).await?;
    let (foreign, _) = answered(ann.post(PATH).json(&said("again"))).await?;
    assert_eq!(room.told()[1..], ["I am Ann", &text(10), "again"]);
    answered(bob.post(PATH).json(&said("who?"))).await?;
    assert_eq!(room.told()[1..], ["who?"], "equal session ids of two people never meet");
    answered(chat(&ann, "elsewhere")).await?;
    assert_eq!(room.told()[1..], ["elsewhere"], "the default session is another one");
    let own = format!("genie-{}", dashed(&ann));
    answered(ann.post(PATH).json(&json!({"message": "same", "session_id": own}))).await?;
    assert_eq!(room.told()[1..], ["elsewhere", &text(10), "same"]);
    let path = format!("/v1/runs/{foreign}/stream");
    let (there, absent) = (ask(bob.get(&path)).await?, uuid::Uuid::now_v7());
    let nowhere = ask(bob.get(&format!("/v1/runs/{absent}/stream"))).await?;
    assert_eq!((there.0, &there.1["title"]), (nowhere.0, &nowhere.1["title"]));
    assert_eq!(there.0, 404);
    room.close().await
}

pub fn dashed(who: &Person) -> String {
    uuid::Uuid::try_parse(who.user.as_str()).map(|id| id.to_string()).unwrap_or_default()
}

/// §16.2
#[tokio::test]
async fn whoever_is_still_on_the_way_in_is_told_what_is_next() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.world.creator("ann").await?;
    let mut seen = Vec::new();
    for state in ["DATA_COLLECTION", "PROCESSING", "COMPLETE"] {
        let (_, events) = answered(chat(&ann, "let me in")).await?;
        assert_eq!(types(&events), ["stage_update", "textResponse", "finalizeResponseStream"]);
        assert_eq!(
            (&events[0]["centerMode"], &events[0]["mood"]),
            (&json!("onboarding"), &json!("idle"))
        );
        assert_eq!((&events[1]["close"], &events[1]["error"]), (&json!(true), &json!(false)));
        let told = events[1]["textResponse"].as_str().context("guidance")?.to_owned();
        assert!(!seen.contains(&told), "{told}");
        seen.push(told);
        let moved = ann.request(reqwest::Method::PATCH, "/api/onboarding");
        good(moved.json(&json!({ "state": state }))).await?;
    }
    assert_eq!(room.model.calls().count(), 0);
    assert_eq!(room.world.count("GateBlocked").await?, 3);
    answered(chat(&ann, "now")).await?;
    assert_eq!(room.told()[1..], ["now"], "what was said at the gate is no history");
    let admin = room.world.admin().await?;
    assert_eq!(text_in(&answered(chat(&admin, "me, too")).await?.1), text(10));
    room.close().await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_leaves_nothing() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    for body in [
        json!({}),
        json!({"message": null}),
        json!({"message": ""}),
        json!({"message": " \n\t\u{3000}"}),
        json!({"message": 7}),
        json!({"message": ["a"]}),
        json!({"message": "x".repeat((32 << 10) + 1)}),
        json!({"message": "a", "sessionId": ""}),
        json!({"message": "a", "sessionId": 7}),
        json!({"message": "a", "sessionId": "x".repeat(129)}),
        json!("hello"),
        json!([]),
    ] {
        let answer = refused(ann.post(PATH).json(&body)).await?;
        assert_eq!(answer, (400, "invalid_request".to_owned()), "{body:.60}");
    }
    let nobody = room.world.app.nobody()?;
    assert_eq!(refused(chat(&nobody, "hello")).await?.0, 401);
    let forged = Person::calling(&room.world.app.base_url, "Bearer a.b.c")?;
    assert_eq!(
        refused(chat(&forged, "hello")).await?,
        (401, "Invalid or expired token".to_owned())
    );
    let viewer = room.world.person("vic", Role::Viewer).await?;
    assert_eq!(refused(chat(&viewer, "hello")).await?, (403, "forbidden".to_owned()));
    assert_eq!(refused(ann.get(PATH)).await?.0, 405);
    assert_eq!(room.world.count("MessageReceived").await?, 0);
    assert_eq!(room.world.count("RunRequested").await?, 0);
    room.close().await
}

#[tokio::test]
async fn who_has_no_account_here_has_no_workspace() -> Result<()> {
    let room = Room::open(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.0/8")]).await?;
    let vouched = room.world.app.nobody()?.post(PATH).header("x-sage-internal-userid", "pat");
    let answer = refused(vouched.json(&json!({"message": "hello"}))).await?;
    assert_eq!(answer, (503, "account_setup_incomplete".to_owned()));
    assert_eq!(room.world.count("MessageReceived").await?, 0);
    room.close().await
}

/// §2.6
#[tokio::test]
async fn what_fails_in_the_stream_is_said_in_the_stream() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let broken = Script { error_after: Some(3), ..Script::default() };
    let (_, events) = answered(chat(&ann, &broken.message("go"))).await?;
    let kinds = types(&events);
    assert_eq!(kinds[kinds.len() - 3..], ["stage_update", "abort", "finalizeResponseStream"]);
    let [stage, abort, end] = &events[events.len() - 3..] else { anyhow::bail!("{events:?}") };
    assert_eq!((&stage["mood"], &end["error"]), (&json!("error"), &json!(true)));
    assert_eq!((&abort["textResponse"], &abort["close"]), (&Value::Null, &json!(true)));
    assert!(abort["error"].as_str().is_some_and(|text| !text.is_empty()), "{abort}");
    answered(chat(&ann, "and now?")).await?;
    assert_eq!(room.told()[2..], [text(3), "and now?".to_owned()], "what was said stays");
    room.close().await
}

/// §2.3
#[tokio::test]
async fn a_client_that_leaves_stops_the_model_and_what_was_said_is_kept() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let slow = Script { deltas: 2_000, delay_ms: 20, ..Script::default() };
    let mut response = chat(&ann, &slow.message("go")).send().await?;
    let run = response.headers()["x-run-id"].to_str()?.to_owned();
    let mut seen = String::new();
    while !seen.contains("w2 ") {
        seen.push_str(std::str::from_utf8(&response.chunk().await?.context("more")?)?);
    }
    drop(response);
    let replay = ann.get(&format!("/v1/runs/{run}/stream")).send().await?.text().await?;
    let lines: Vec<Value> = replay.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let end = lines.last().context("an end")?;
    assert_eq!((&end["type"], &end["close"]), (&json!("finalizeResponseStream"), &json!(true)));
    let said = text_in(&lines);
    assert!(said.len() < text(2_000).len() && said.starts_with(&text(3)), "{}", said.len());
    // The next message is answered after that, and knows of it.
    answered(chat(&ann, "hello?")).await?;
    assert_eq!(room.told()[2..], [said, "hello?".to_owned()]);
    room.close().await
}

#[tokio::test]
async fn a_stream_is_resumed_at_every_index() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let (run, events) = answered(chat(&ann, "hello")).await?;
    let path = format!("/v1/runs/{run}/stream");
    for index in 0..events.len() {
        let rest = ann.get(&format!("{path}?last_index={index}"));
        let lines = rest.send().await?.text().await?;
        let lines: Vec<Value> =
            lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        assert_eq!(lines, events[index..], "{index}");
    }
    let sse = ann.get(&path).header("accept", "text/event-stream");
    let sse = sse.header("last-event-id", format!("{run}:3")).send().await?.text().await?;
    assert!(sse.starts_with(&format!("id: {run}:4\ndata: {}", events[4])), "{sse}");
    room.close().await
}

#[tokio::test]
async fn two_messages_at_once_are_answered_one_after_the_other() -> Result<()> {
    let room = Room::open(&[]).await?;
    let ann = room.settled("ann").await?;
    let slow = Script { deltas: 5, delay_ms: 30, ..Script::default() };
    let asked = slow.message("one");
    let (first, second) = tokio::join!(answered(chat(&ann, &asked)), answered(chat(&ann, &asked)));
    assert_eq!((text_in(&first?.1), text_in(&second?.1)), (text(5), text(5)));
    assert_eq!(room.told().len(), 4, "the second one knows of the first");
    room.close().await
}
