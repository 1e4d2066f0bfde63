//! Three apps as people write them: a rewriter, a desk that answers from a datasource, a chain of three steps.

use super::{datasource, text};
use crate::room::{Room, answer, pieces, put_together, yaml};
use annals_tests::model_server::text as said;
use anyhow::{Context, Result};
use axum::{Router, extract::Path, routing::get};
use reqwest::Method;
use serde_json::{Value, json};

const REWRITER: &str = r#"
name: Plain-language rewriter
type_slug: web
description: Rewrites a paragraph for a given audience
draft: false
input_fields:
  - {name: passage, title: Passage, type: text, required: true}
  - {name: audience, title: Audience, type: string, default: a ten-year-old}
output_template:
  markdown: "{{ rewrite.text }}"
processors:
  - id: rewrite
    name: Rewriter
    description: Calls the language model
    provider_slug: promptly
    processor_slug: llm
    input:
      input_message: "Rewrite for {{ _inputs0.audience }}:\n\n{{ _inputs0.passage }}"
    config:
      system_message: You simplify text and keep every fact.
      provider_config: {provider: openai, model: gpt-4o-mini}
      max_tokens: 600
      temperature: 0.2
      retain_history: true
      max_history: 6
"#;

const DESK: &str = r#"
name: Returns desk
type_slug: text-chat
config:
  welcome_message: Ask me about returns.
  suggested_messages: ["How long do I have?", "Who pays shipping?"]
draft: false
input_fields:
  - {name: question, title: Question, type: string}
  - {name: region, title: Region, type: string, default: eu}
output_template:
  markdown: |-
    {{ _inputs1.answer }}
    {% if _inputs1.citations %}
    Sources:{% for c in _inputs1.citations %}
    - {{ c.source }}{% endfor %}
    {% endif %}
processors:
  - id: _inputs1
    provider_slug: promptly
    processor_slug: text_chat
    input:
      question: "{{ _inputs0.question }}"
      search_filters: "md_region == {{ _inputs0.region }}"
    config:
      model: gpt-4o-mini
      datasource: ["5b1a7f2e-6f0a-4f0e-9a53-0c7f1f1f4d11"]
      k: 4
      chat_history_limit: 10
      show_citations: true
      temperature: 0.1
"#;

const TRIAGE: &str = r#"
name: Ticket triage
type_slug: web
draft: false
input_fields:
  - {name: ticket_id, title: Ticket, type: string}
processors:
  - id: fetch
    provider_slug: promptly
    processor_slug: http_api_processor
    input:
      input_data: '{"ticket": "{{ _inputs0.ticket_id }}"}'
    config:
      url: https://helpdesk.example.org
      path: "/tickets/{{ _parameters.ticket }}"
      method: GET
      parameters:
        - {name: ticket, location: path, required: true}
      timeout: 8
  - id: similar
    provider_slug: promptly
    processor_slug: datasource_search
    input: {query: "{{ fetch.content_json.subject }}"}
    config:
      datasources: ["5b1a7f2e-6f0a-4f0e-9a53-0c7f1f1f4d11"]
      document_limit: 3
  - id: verdict
    provider_slug: openai
    processor_slug: chatgpt
    input:
      system_message: You triage support tickets.
      messages:
        - role: user
          content: "Ticket: {{ fetch.text }}\n\nPast cases: {{ similar.answers_text }}"
    config: {model: gpt-4o-mini, max_tokens: 300, temperature: 0}
output_template:
  markdown: "**Verdict:** {{ verdict.choices[0].content }}"
"#;

/// The datasource that they name.
const NAMED: &str = "5b1a7f2e-6f0a-4f0e-9a53-0c7f1f1f4d11";

/// Runs a definition twice, whole and streamed: the whole answer, and what the model was last asked.
async fn ran(room: &Room, definition: &str, input: Value) -> Result<(Value, Value)> {
    let (status, app) = answer(yaml(&room.ann, Method::POST, "/api/apps", definition)).await?;
    anyhow::ensure!(status == 201, "{status} {app}");
    let app = app["uuid"].as_str().context("no uuid")?;
    let whole = crate::room::run(&room.ann, app, input.clone()).await?;
    let asked = room.model.calls().all().pop().context("no call")?.body;
    assert_eq!(put_together(&pieces(&room.ann, app, input).await?)?, whole["output"], "{whole}");
    Ok((whole, asked))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewriter_asks_with_defaults() -> Result<()> {
    let room = Room::open().await?;
    let (whole, asked) = ran(&room, REWRITER, json!({"passage": "Ex falso."})).await?;
    assert_eq!(whole["output"], said(10));
    let question = "Rewrite for a ten-year-old:\n\nEx falso.";
    assert_eq!(asked["messages"][1], json!({"role": "user", "content": question}));
    assert_eq!((&asked["model"], &asked["max_tokens"]), (&json!("gpt-4o-mini"), &json!(600)));
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_answers_from_its_region_and_cites() -> Result<()> {
    let room = Room::open().await?;
    let uuid = datasource(&room.ann, json!("text")).await?;
    text(&room.ann, &uuid, "EU-returns take 30 days", json!({"region": "eu"})).await?;
    text(&room.ann, &uuid, "US-returns take 90 days", json!({"region": "us"})).await?;
    let desk = DESK.replace(NAMED, &uuid);
    let (whole, asked) =
        ran(&room, &desk, json!({"question": "How long do returns take?"})).await?;
    let output = whole["output"].as_str().unwrap();
    assert!(output.starts_with(&said(10)) && output.contains("- EU-returns"), "{output}");
    assert!(!output.contains("US-returns"), "{output}");
    let context = asked["messages"][1]["content"].as_str().unwrap();
    assert!(context.contains("30 days") && !context.contains("90 days"), "{context}");
    room.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_calls_searches_and_asks() -> Result<()> {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await?;
    let ticket =
        async |Path(id): Path<String>| axum::Json(json!({"id": id, "subject": "Broken lamp"}));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let helpdesk = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/tickets/{id}", get(ticket));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let uuid = datasource(&room.ann, json!("text")).await?;
    text(&room.ann, &uuid, "Case-17 a broken lamp was replaced", json!({})).await?;
    let triage = TRIAGE.replace(NAMED, &uuid).replace("https://helpdesk.example.org", &helpdesk);
    let (whole, asked) = ran(&room, &triage, json!({"ticket_id": "9"})).await?;
    assert_eq!(whole["output"], format!("**Verdict:** {}", said(10)), "{whole}");
    assert_eq!(
        asked["messages"][1]["content"],
        "Ticket: {\"id\":\"9\",\"subject\":\"Broken lamp\"}\n\nPast cases: \
         Content: Case-17 a broken lamp was replaced\n\nSource: Case-17\n\n\n"
    );
    room.close().await
}
