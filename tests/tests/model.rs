//! The OpenAI provider against a real server that does what it is told.

use annals_tests::model_server::{Fail, Fate, ModelServer, Script, ToolCall, text, thought, word};
use anyhow::{Context, Result};
use commands::effects::model::{
    Delta, Deltas, Endpoint, Model, ModelError, Request,
    openai::{Limits, OpenAi},
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const KEY: &str = "sk-test-0123456789";

fn limits() -> Limits {
    Limits { backoff: Duration::from_millis(5), ..Limits::default() }
}

fn ask(server: &ModelServer, content: &str) -> Request {
    let endpoint = Endpoint {
        base_url: server.base_url(),
        api_key: KEY.into(),
        model: "test-model".to_owned(),
    };
    let messages = vec![json!({"role": "user", "content": content})];
    Request { endpoint, messages, ..Request::default() }
}

/// Everything a stream gives: the deltas, and the error at its end if there is one.
async fn drain(mut stream: Deltas) -> (Vec<Delta>, Option<ModelError>) {
    let mut deltas = Vec::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(delta) => deltas.push(delta),
            Err(error) => {
                assert!(stream.next().await.is_none(), "something after the error");
                return (deltas, Some(error));
            }
        }
    }
    (deltas, None)
}

async fn run(
    server: &ModelServer,
    limits: Limits,
) -> Result<(Vec<Delta>, Option<ModelError>), ModelError> {
    Ok(drain(OpenAi::new(limits).stream(ask(server, "hello")).await?).await)
}

/// The error of a call that never begins.
async fn refused(server: &ModelServer, limits: Limits) -> Result<ModelError> {
    run(server, limits).await.err().context("it was answered")
}

fn words(n: usize) -> Vec<Delta> {
    (0..n).map(|i| Delta::Text(word(i))).collect()
}

fn stop() -> Delta {
    Delta::Finished(Some("stop".to_owned()))
}

#[tokio::test]
async fn streams_thinking_text_and_usage_in_order() -> Result<()> {
    let server = ModelServer::start(Script { reasoning: 2, ..Script::default() }).await?;
    let (deltas, error) = run(&server, limits()).await?;
    let mut expected: Vec<Delta> = (0..2).map(|i| Delta::Reasoning(thought(i))).collect();
    expected.extend(words(10));
    let details = json!({"reasoning_tokens": 2});
    expected.push(Delta::Usage(json!({
        "prompt_tokens": 1, "completion_tokens": 12, "total_tokens": 13,
        "completion_tokens_details": details,
    })));
    expected.push(stop());
    assert_eq!((deltas, error), (expected, None));
    assert_eq!(server.calls().fate_of(0).await?, Fate::Answered);
    Ok(())
}

#[tokio::test]
async fn sends_what_is_set_and_nothing_else() -> Result<()> {
    let server = ModelServer::start(Script::default()).await?;
    let model = OpenAi::new(limits());
    let (bare, mut full) = (ask(&server, "hello"), ask(&server, "hello"));
    full.parameters.insert("temperature".to_owned(), json!(0.5));
    full.parameters.insert("stream".to_owned(), json!(false));
    full.tools = vec![json!({"type": "function", "function": {"name": "f"}})];
    full.endpoint.api_key = "".into();
    full.endpoint.base_url += "/";
    for request in [bare, full] {
        drain(model.stream(request).await?).await;
    }
    let calls = server.calls().all();
    let common = json!({
        "model": "test-model", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hello"}],
    });
    assert_eq!(calls[0].body, common);
    assert_eq!(calls[0].headers["authorization"], format!("Bearer {KEY}"));
    let mut more = common;
    more["temperature"] = json!(0.5);
    more["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(calls[1].body, more);
    assert_eq!(calls[1].headers.get("authorization"), None);
    Ok(())
}

#[tokio::test]
async fn pieces_cut_anywhere_and_comments_change_nothing() -> Result<()> {
    let whole = ModelServer::start(Script::default()).await?;
    let (expected, _) = run(&whole, limits()).await?;
    for split in [1, 2, 3, 7, 64] {
        let script = Script {
            split,
            comments: true,
            ending: "\r\n".to_owned(),
            reasoning_name: "reasoning".to_owned(),
            ..Script::default()
        };
        let server = ModelServer::start(script).await?;
        assert_eq!(run(&server, limits()).await?, (expected.clone(), None), "split {split}");
    }
    Ok(())
}

#[tokio::test]
async fn passes_tool_calls_through_and_answers_after_their_results() -> Result<()> {
    let arguments = json!({"city": "Zürich"});
    let call = ToolCall { name: "weather".to_owned(), arguments: arguments.clone() };
    let script = Script { tool_calls: vec![call], deltas: 1, ..Script::default() };
    let server = ModelServer::start(script).await?;
    let (deltas, _) = run(&server, limits()).await?;
    assert_eq!(deltas.last(), Some(&Delta::Finished(Some("tool_calls".to_owned()))));
    let pieces: Vec<Value> = deltas
        .into_iter()
        .filter_map(|delta| match delta {
            Delta::ToolCalls(calls) => Some(calls),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(pieces[0]["function"]["name"], "weather");
    let sent: String = pieces.iter().filter_map(|p| p["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&sent)?, arguments);

    let mut request = ask(&server, "hello");
    request.messages.push(json!({"role": "assistant", "tool_calls": [{"id": "call_0"}]}));
    request.messages.push(json!({"role": "tool", "tool_call_id": "call_0", "content": "sun"}));
    let (deltas, _) = drain(OpenAi::new(limits()).stream(request).await?).await;
    assert_eq!((&deltas[0], deltas.last()), (&Delta::Text(word(0)), Some(&stop())));
    Ok(())
}

#[tokio::test]
async fn tries_again_until_the_provider_is_ready() -> Result<()> {
    for status in [408, 429, 500, 502, 503, 504] {
        let fail = Fail { status, times: 2, retry_after: None, message: "busy".to_owned() };
        let server = ModelServer::start(Script { fail: Some(fail), ..Script::default() }).await?;
        let (deltas, error) = run(&server, limits()).await?;
        assert_eq!((deltas.len(), error, server.calls().count()), (12, None, 3), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn gives_up_after_three_tries_and_at_once_on_other_errors() -> Result<()> {
    for (status, tries) in [(503, 3), (401, 1), (404, 1), (302, 1)] {
        let message = format!("no: {{key}}{}", "x".repeat(1_000));
        let fail = Fail { status, times: 9, retry_after: None, message };
        let server = ModelServer::start(Script { fail: Some(fail), ..Script::default() }).await?;
        let error = refused(&server, limits()).await?;
        let ModelError::Status { status: got, tries: made, excerpt } = &error else {
            anyhow::bail!("{error:?}")
        };
        assert_eq!((*got, *made, server.calls().count()), (status, tries, tries as usize));
        assert!(excerpt.starts_with("no: [key]") && excerpt.len() < 400, "{excerpt}");
        assert!(!format!("{error} {error:?}").contains("0123"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn waits_as_long_as_the_provider_asks_but_no_longer_than_the_cap() -> Result<()> {
    for (asked, cap, least) in [("1", 5_000, 1_000), ("3600", 100, 100)] {
        let retry_after = Some(asked.to_owned());
        let fail = Fail { status: 429, times: 1, retry_after, message: String::new() };
        let server = ModelServer::start(Script { fail: Some(fail), ..Script::default() }).await?;
        let begun = Instant::now();
        let longest_backoff = Duration::from_millis(cap);
        run(&server, Limits { longest_backoff, ..limits() }).await?;
        let took = begun.elapsed().as_millis();
        assert!((least..60_000).contains(&took), "asked {asked}, took {took} ms");
    }
    Ok(())
}

#[tokio::test]
async fn does_without_stream_options_where_they_are_unknown() -> Result<()> {
    let server =
        ModelServer::start(Script { no_stream_options: true, ..Script::default() }).await?;
    let (deltas, error) = run(&server, Limits { tries: 1, ..limits() }).await?;
    assert_eq!((deltas.len(), deltas.last(), error), (11, Some(&stop()), None));
    assert_eq!(server.calls().count(), 2);
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_not_reachable() -> Result<()> {
    let server = ModelServer::start(Script::default()).await?;
    let mut request = ask(&server, "hello");
    request.endpoint.base_url = "http://127.0.0.1:1/v1".to_owned();
    let error = OpenAi::new(limits()).stream(request).await.err();
    assert!(matches!(error, Some(ModelError::Unreachable { tries: 3, .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_called_is_named_as_such() -> Result<()> {
    let server = ModelServer::start(Script::default()).await?;
    for (base_url, key) in [("", KEY), ("file:///etc/passwd", KEY), (&server.base_url(), "a\nb")] {
        let mut request = ask(&server, "hello");
        request.endpoint.base_url = base_url.to_owned();
        request.endpoint.api_key = key.into();
        let error = OpenAi::new(limits()).stream(request).await.err();
        assert!(matches!(error, Some(ModelError::Misconfigured(_))), "{base_url}: {error:?}");
    }
    assert_eq!(server.calls().count(), 0);
    Ok(())
}

#[tokio::test]
async fn silence_before_the_first_byte_is_tried_again_within_limits() -> Result<()> {
    let first_byte = Duration::from_secs(1);
    for script in [
        Script { silent: true, ..Script::default() },
        Script { stall_after: Some(0), ..Script::default() },
    ] {
        let server = ModelServer::start(script).await?;
        let error = refused(&server, Limits { first_byte, tries: 2, ..limits() }).await?;
        assert_eq!(error, ModelError::NoFirstByte { tries: 2, limit: first_byte });
        assert_eq!(server.calls().fate_of(1).await?, Fate::Abandoned);

        let patience = Duration::from_millis(30);
        let error = refused(&server, Limits { first_byte, patience, ..limits() }).await?;
        assert_eq!(error, ModelError::NoFirstByte { tries: 1, limit: first_byte });
    }
    Ok(())
}

#[tokio::test]
async fn what_breaks_off_later_is_never_tried_again() -> Result<()> {
    let idle = Duration::from_secs(1);
    let cases = [
        Script { break_after: Some(4), ..Script::default() },
        Script { stall_after: Some(4), ..Script::default() },
        Script { comments_after: Some(4), delay_ms: 5, ..Script::default() },
        Script { error_after: Some(4), ..Script::default() },
        Script { deltas: 4, finish: false, done: false, usage: false, ..Script::default() },
    ];
    let mut errors = Vec::new();
    for script in cases {
        let server = ModelServer::start(script).await?;
        let limits = Limits { idle, keep_alive: idle * 3, ..limits() };
        let (deltas, error) = run(&server, limits).await?;
        assert_eq!(deltas, words(4), "{error:?}");
        assert_eq!(server.calls().count(), 1, "{error:?}");
        errors.push(error.context("it ended well")?);
    }
    assert!(matches!(errors[0], ModelError::Broken(_)), "{errors:?}");
    assert_eq!(errors[1], ModelError::Idle(idle));
    assert_eq!(errors[2], ModelError::Idle(idle * 3));
    assert_eq!(errors[3], ModelError::Reported("failed as scripted".into()));
    assert_eq!(errors[4], ModelError::Broken("it ended too early".into()));
    Ok(())
}

#[tokio::test]
async fn a_finished_answer_needs_no_done_and_no_tidy_end() -> Result<()> {
    let idle = Duration::from_secs(1);
    for linger_ms in [0, 60_000] {
        let script = Script { done: false, linger_ms, deltas: 3, ..Script::default() };
        let server = ModelServer::start(script).await?;
        let (deltas, error) = run(&server, Limits { idle, ..limits() }).await?;
        assert_eq!((deltas.len(), deltas.last(), error), (5, Some(&stop()), None), "{linger_ms}");
    }
    Ok(())
}

#[tokio::test]
async fn a_whole_completion_is_accepted_and_other_json_is_not() -> Result<()> {
    let server = ModelServer::start(Script { whole: true, ..Script::default() }).await?;
    let (deltas, error) = run(&server, limits()).await?;
    assert_eq!((&deltas[0], deltas.len(), error), (&Delta::Text(text(10)), 3, None));
    server.follow(Script { raw: Some(r#"{"hello": "world"}"#.to_owned()), ..Script::default() });
    let (deltas, error) = run(&server, limits()).await?;
    assert_eq!(deltas, []);
    assert!(matches!(error, Some(ModelError::Malformed(_))), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn an_empty_body_counts_as_no_answer_and_is_tried_again() -> Result<()> {
    let server =
        ModelServer::start(Script { raw: Some(String::new()), ..Script::default() }).await?;
    let error = refused(&server, limits()).await?;
    assert!(matches!(error, ModelError::Unreachable { tries: 3, .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn dropping_the_stream_or_the_call_ends_it_at_the_provider() -> Result<()> {
    let server = ModelServer::start(Script { stall_after: Some(2), ..Script::default() }).await?;
    let mut stream = OpenAi::new(limits()).stream(ask(&server, "hello")).await?;
    assert_eq!(stream.next().await, Some(Ok(Delta::Text(word(0)))));
    drop(stream);
    assert_eq!(server.calls().fate_of(0).await?, Fate::Abandoned);

    let silent = Script { silent: true, ..Script::default() }.message("anybody?");
    let call = tokio::spawn(OpenAi::new(limits()).stream(ask(&server, &silent)));
    server.calls().until(|calls| calls.len() == 2).await?;
    call.abort();
    assert_eq!(server.calls().fate_of(1).await?, Fate::Abandoned);
    Ok(())
}

#[tokio::test]
async fn finished_calls_leave_their_connection_to_the_next() -> Result<()> {
    let server = ModelServer::start(Script { linger_ms: 30, ..Script::default() }).await?;
    let model = OpenAi::new(limits());
    for number in 0..10 {
        drain(model.stream(ask(&server, "hello")).await?).await;
        assert_eq!(server.calls().fate_of(number).await?, Fate::Answered);
    }
    let peers: BTreeSet<_> = server.calls().all().into_iter().map(|call| call.peer).collect();
    assert!(peers.len() < 10, "every call made a connection of its own");
    Ok(())
}
