//! What a collector is told: one trace from a request to its model and its tools, on whatever node it goes on.

use annals_tests::{
    collector::{Collector, Span},
    lines::{Lines, check_whole},
    mcp_server::McpServer,
    model_server::{ModelServer, Script, ToolCall},
    process::{Folder, Setup},
};
use anyhow::{Context, Result};
use serde_json::json;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// What somebody says, and nothing that is exported may hold.
const SAID: &str = "a-secret-that-somebody-says";

fn setup(folder: &Folder, model: &ModelServer, collector: &str) -> Setup {
    Setup::embedded(folder.path())
        .with_model(&model.base_url())
        .with("ANNALS_ALLOW_PRIVATE_URLS", "true")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .with("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=somebody")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
}

/// The traceparents under which the events of a run were written.
async fn written(setup: &Setup, run: &str) -> Result<Vec<String>> {
    let events = setup.run(&["events", "--stream", &format!("run-{run}")]).await?;
    let texts = events.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line)?;
        let traceparent = event["metadata"]["traceparent"].as_str().unwrap_or_default();
        Ok(traceparent.to_owned())
    });
    texts.collect()
}

fn context(span: &Span) -> String {
    format!("00-{}-{}-01", span.trace, span.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_run_its_model_and_its_tools_are_one_trace() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, Folder::new("traces"));
    let model = ModelServer::start(Script::default()).await?;
    let tools = McpServer::start(None)?;
    let setup = setup(&folder, &model, &collector.endpoint);
    let server = setup.start().await?;
    let call = |name: &str| ToolCall { name: name.to_owned(), arguments: json!({"text": SAID}) };
    let tool_calls = vec![call("current_time"), call("echo"), call("made-up")];
    let script = Script { deltas: 2, tool_calls, ..Script::default() };
    let body = json!({"session_id": "s", "available_tools": ["current_time"],
        "extra_mcp_config": {"docs": {"url": tools.url()}},
        "messages": [{"role": "user", "content": script.message(SAID)}]});
    let asked = server.admin().await?.post("/api/web-stream").json(&body);
    let asked = asked.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    let (mut stream, mut lines) = (Lines::of(asked.send().await?).await?, Vec::new());
    let run = stream.run()?;
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    server.stop().await?;

    let spans = collector.spans();
    let ours: Vec<&Span> = spans.iter().filter(|span| span.trace == TRACE).collect();
    let one = |name: &str| {
        let found = ours.iter().find(|span| span.name == name);
        found.copied().with_context(|| format!("no {name} among {spans:#?}"))
    };
    let request = one("POST /api/web-stream")?;
    assert_eq!((request.parent.as_str(), request.kind), (CALLER, 2));
    assert_eq!(request.at("http.route"), "/api/web-stream");
    assert_eq!(request.at("http.request.method"), "POST");
    assert_eq!(request.at("http.response.status_code"), "200");
    assert_eq!(request.resource["service.name"], "annals");

    let performed = ours.iter().find(|span| span.at("annals.run.id") == run).context("a run")?;
    assert_eq!((&performed.parent, performed.kind), (&request.id, 1));
    assert_eq!(performed.at("gen_ai.operation.name"), "invoke_agent");
    assert_eq!(
        (performed.at("annals.run.outcome"), performed.at("annals.run.attempt")),
        ("completed", "1")
    );

    let turns: Vec<&&Span> = ours.iter().filter(|span| span.name == "chat test-model").collect();
    assert!(turns.len() >= 2, "{spans:#?}");
    let calls = model.calls().all();
    for turn in turns {
        assert_eq!((&turn.parent, turn.kind), (&performed.id, 3));
        for (name, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "test-model"),
            ("gen_ai.response.model", "test-model"),
            ("server.address", "127.0.0.1"),
            ("server.port", &model.address().port().to_string()),
        ] {
            assert_eq!(turn.at(name), value, "{name}");
        }
        assert!(turn.at("gen_ai.usage.input_tokens").parse::<u64>()? > 0);
        assert!(turn.at("gen_ai.usage.output_tokens").parse::<u64>()? > 0);
        let context = context(turn);
        let heard = |headers: &std::collections::BTreeMap<String, String>| {
            headers.get("traceparent") == Some(&context)
        };
        assert!(calls.iter().any(|call| heard(&call.headers)), "the provider is told: {calls:#?}");
    }

    let clock = one("execute_tool current_time")?;
    assert_eq!((&clock.parent, clock.failed), (&performed.id, false));
    assert_eq!(clock.at("gen_ai.operation.name"), "execute_tool");
    assert!(!clock.at("gen_ai.tool.call.id").is_empty());
    assert!(one("execute_tool (unknown)")?.failed, "what a model makes up is no name");
    let (echo, over) = (one("execute_tool echo")?, one("tools/call echo")?);
    assert_eq!((&echo.parent, &over.parent, over.kind), (&performed.id, &echo.id, 3));
    let told = Some(context(over));
    assert_eq!(tools.traces(), [[told.clone(), told]], "in the message and in its header");
    let append = ours.iter().find(|span| span.name == "append run" && span.parent == performed.id);
    assert_eq!(append.context("an append")?.at("db.operation.name"), "append");

    let exported = format!("{spans:?}");
    for secret in [SAID, "test-key", "Bearer"] {
        assert!(!exported.contains(secret), "{secret} is exported");
    }
    assert_eq!(collector.header("x-tenant").as_deref(), Some("somebody"));
    assert!(!spans.iter().any(|span| span.at("http.route") == "/readyz"), "nobody asks for probes");

    let written = written(&setup, &run).await?;
    assert_eq!(written[0], context(request), "the request of the run");
    assert!(written[1..].iter().all(|text| *text == context(performed)), "{written:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_taken_over_goes_on_in_its_trace() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, Folder::new("traces-over"));
    let model = ModelServer::start(Script::default()).await?;
    let setup = setup(&folder, &model, &collector.endpoint);
    let server = setup.start().await?;
    let script = Script { deltas: 120, delay_ms: 20, ..Script::default() };
    let mut stream =
        server.admin().await?.say("/api/web-stream", "s", &script.message("hello")).await?;
    let (run, mut lines) = (stream.run()?, Vec::new());
    stream.until(10, &mut lines).await?;
    server.kill()?;

    let server = setup.start().await?;
    server.admin().await?.resume("s", "?last_index=10").await?.rest(&mut lines).await?;
    check_whole(&lines)?;
    server.stop().await?;
    let written = written(&setup, &run).await?;
    let of_request = written.first().context("a request")?;
    let mut parts = of_request.split('-').skip(1);
    let (trace, request) = (parts.next().context("a trace")?, parts.next().context("a span")?);
    let again = collector
        .span("the second performance", |span| span.at("annals.run.attempt") == "2")
        .await?;
    assert_eq!((again.trace.as_str(), again.parent.as_str()), (trace, request));
    assert_eq!(again.at("annals.run.outcome"), "completed");
    let turn = collector.span("its turn", |span| span.parent == again.id && span.kind == 3).await?;
    assert_eq!(turn.trace, trace);
    assert!(written.iter().all(|text| text.split('-').nth(1) == Some(trace)), "{written:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_and_a_trace_that_is_not_recorded_change_nothing() -> Result<()> {
    let (collector, folder) = (Collector::start().await?, Folder::new("traces-away"));
    let model = ModelServer::start(Script { deltas: 3, ..Script::default() }).await?;
    let away = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = setup(&folder, &model, &format!("http://{away}")).start().await?;
    let mut lines = Vec::new();
    server.admin().await?.say("/api/web-stream", "s", "hello").await?.rest(&mut lines).await?;
    check_whole(&lines)?;
    server.stop().await?;

    let setup = setup(&folder, &model, &collector.endpoint);
    let server = setup.start().await?;
    let person = server.admin().await?;
    let body = json!({"session_id": "t", "messages": [{"role": "user", "content": "hello"}]});
    let asked = person.post("/api/web-stream").json(&body);
    let asked = asked.header("traceparent", format!("00-{TRACE}-{CALLER}-00")).send().await?;
    let (mut stream, mut lines) = (Lines::of(asked).await?, Vec::new());
    let run = stream.run()?;
    stream.rest(&mut lines).await?;
    check_whole(&lines)?;
    server.stop().await?;
    assert!(collector.spans().iter().all(|span| span.trace != TRACE), "it was not to be recorded");
    let written = written(&setup, &run).await?;
    let kept = |text: &String| text.starts_with(&format!("00-{TRACE}-")) && text.ends_with("-00");
    assert!(written.iter().all(kept), "{written:#?}");
    Ok(())
}
