//! Steps that call URLs: a small API on the loopback address, which is out of reach unless the operator has it otherwise.

use crate::room::{Room, made, pieces, put_together, run};
use axum::{
    Router,
    extract::{Path, RawQuery},
    http::HeaderMap,
    response::Redirect,
    routing::{get, post},
};
use serde_json::{Value, json};

async fn api() -> String {
    let ticket = async |Path(id): Path<String>, headers: HeaderMap, RawQuery(query): RawQuery| {
        let sent = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        axum::Json(
            json!({"id": id, "subject": "Broken", "query": query, "x": sent("x-key"), "cookie": sent("cookie")}),
        )
    };
    let said = async |headers: HeaderMap, body: String| {
        let kind = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
        axum::Json(json!({"kind": kind, "body": body}))
    };
    let router = Router::new()
        .route("/tickets/{id}", get(ticket))
        .route("/say", post(said))
        .route("/list", get(async || axum::Json(json!([1, 2]))))
        .route(
            "/page",
            get(async || {
                (
                    [("content-type", "text/html")],
                    "<html><body><h1>Hi</h1><p>A page.</p></body></html>",
                )
            }),
        )
        .route("/away", get(async || Redirect::temporary("/tickets/7")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn step(slug: &str, input: Value, config: Value) -> Value {
    json!({
        "name": "Calls", "type_slug": "web", "draft": false,
        "processors": [{"id": "c", "provider_slug": "promptly", "processor_slug": slug, "input": input, "config": config}],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_called_with_parameters_wherever_they_belong() {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let api = api().await;
    let config = json!({
        "url": api, "path": "/tickets/{{ _parameters.ticket }}", "method": "GET",
        "parameters": [
            {"name": "ticket", "location": "path", "required": true}, {"name": "q", "location": "query", "value": "a b"},
            {"name": "x-key", "location": "header"}, {"name": "c", "location": "cookie"}],
    });
    let input =
        json!({"input_data": "{\"ticket\": \"{{ _inputs0.id }}\", \"x-key\": \"k\", \"c\": 1}"});
    let id = made(&room.ann, &step("http_api_processor", input, config)).await.unwrap();
    let whole = run(&room.ann, &id, json!({"id": "7/../x"})).await.unwrap();
    let said = &whole["output"]["c"];
    assert_eq!((&said["code"], &said["is_ok"]), (&json!(200), &json!(true)), "{whole}");
    assert_eq!(
        said["content_json"],
        json!({"id": "7/../x", "subject": "Broken", "query": "q=a+b", "x": "k", "cookie": "c=1"})
    );
    assert_eq!(said["headers"]["content-type"], "application/json");
    let missing = step(
        "http_api_processor",
        json!({}),
        json!({"url": api, "parameters": [{"name": "t", "location": "path", "required": true}]}),
    );
    let id = made(&room.ann, &missing).await.unwrap();
    let whole = run(&room.ann, &id, json!({})).await.unwrap();
    assert_eq!(whole["output"], json!({"errors": ["c: Missing required parameter t"]}));
    for (body, sent) in [
        (
            json!({"parameters": [{"name": "a"}]}),
            json!({"kind": "application/x-www-form-urlencoded", "body": "a=1+2"}),
        ),
        (
            json!({"payload": "{\"v\": \"{{ _parameters.a }}\", \"w\": \"{{ _inputs0.w }}\"}"}),
            json!({"kind": "application/json", "body": "{\"v\": \"1 2\", \"w\": \"x\"}"}),
        ),
    ] {
        let app = step(
            "http_api_processor",
            json!({"input_data": "{\"a\": \"1 2\"}"}),
            json!({"url": api, "path": "/say", "method": "POST", "request_body": body}),
        );
        let id = made(&room.ann, &app).await.unwrap();
        assert_eq!(
            run(&room.ann, &id, json!({"w": "x"})).await.unwrap()["output"]["c"]["content_json"],
            sent
        );
    }
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_pages_files_and_parts() {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let api = api().await;
    let said = async |app: Value| {
        let id = made(&room.ann, &app).await.unwrap();
        run(&room.ann, &id, json!({})).await.unwrap()["output"]["c"].clone()
    };
    let list =
        said(step("simple_http", json!({"url": format!("{api}/list")}), json!({"method": "GET"})))
            .await;
    assert_eq!(
        (&list["code"], &list["response"], &list["response_json"]),
        (&json!(200), &json!("[1,2]"), &json!({"data": [1, 2]}))
    );
    let config =
        json!({"method": "POST", "body": "{\"a\": 1}", "headers": [{"key": "X-A", "value": "b"}]});
    let posted = said(step("simple_http", json!({"url": format!("{api}/say")}), config)).await;
    assert_eq!(posted["response_json"], json!({"kind": "application/json", "body": "{\"a\": 1}"}));
    let page =
        said(step("http_uri_text_extract", json!({"url": format!("{api}/page")}), json!({}))).await;
    assert!(page["text"].as_str().unwrap().contains("A page."), "{page}");
    let file = "data:text/plain;name=policy.txt;base64,UmV0dXJuIHdpbmRvdyBpcyAzMCBkYXlzLg==";
    let read = said(step("data_uri_text_extract", json!({"file": file}), json!({}))).await;
    assert_eq!(read["text"], "Return window is 30 days.");
    let wanted =
        json!({"output_schema": {"fields": [{"name": "t", "value": "<{{ _splitter_item }}>"}]}});
    let parts = said(step("splitter", json!({"content": "a\n\nb"}), wanted)).await;
    assert_eq!(
        parts,
        json!({"outputs": [{"t": "<a>"}, {"t": "<b>"}], "outputs_text": "[{\"t\":\"<a>\"},{\"t\":\"<b>\"}]"})
    );
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_out_of_reach_of_definitions() {
    let room = Room::open().await.unwrap();
    let url = room.model.base_url();
    for app in [
        step("simple_http", json!({ "url": url }), json!({})),
        step("http_api_processor", json!({}), json!({ "url": url })),
        step("http_uri_text_extract", json!({ "url": url }), json!({})),
        step("document_reader", json!({ "input": url }), json!({})),
        step("splitter", json!({ "content_uri": url }), json!({})),
    ] {
        let id = made(&room.ann, &app).await.unwrap();
        let whole = run(&room.ann, &id, json!({})).await.unwrap();
        assert_eq!(
            whole["output"],
            json!({"errors": ["c: the URL does not lead to a public address"]})
        );
    }
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_calls_asks_and_puts_together() {
    let room = Room::with(&[("ANNALS_ALLOW_PRIVATE_URLS", "true")]).await.unwrap();
    let definition = json!({
        "name": "Ticket triage", "type_slug": "web", "draft": false,
        "input_fields": [{"name": "ticket_id", "title": "Ticket", "type": "string"}],
        "processors": [
            {"id": "fetch", "provider_slug": "promptly", "processor_slug": "http_api_processor",
             "input": {"input_data": "{\"ticket\": \"{{ _inputs0.ticket_id }}\"}"},
             "config": {"url": api().await, "path": "/tickets/{{ _parameters.ticket }}", "method": "GET",
                        "parameters": [{"name": "ticket", "location": "path", "required": true}], "timeout": 8}},
            {"id": "verdict", "provider_slug": "openai", "processor_slug": "chatgpt",
             "input": {"system_message": "You triage support tickets.", "messages": [{"role": "user", "content": "Ticket: {{ fetch.content_json.subject }}"}]},
             "config": {"model": "gpt-4o-mini", "max_tokens": 300, "temperature": 0}},
        ],
        "output_template": {"markdown": "**Verdict:** {{ verdict.choices[0].content }}"},
    });
    let id = made(&room.ann, &definition).await.unwrap();
    let input = json!({"ticket_id": "9"});
    let whole = run(&room.ann, &id, input.clone()).await.unwrap();
    assert!(whole["output"].as_str().unwrap().starts_with("**Verdict:** w0 w1"), "{whole}");
    let asked = room.model.calls().all().pop().unwrap().body;
    assert_eq!(asked["messages"][1]["content"], "Ticket: Broken");
    assert_eq!(
        put_together(&pieces(&room.ann, &id, input).await.unwrap()).unwrap(),
        whole["output"]
    );
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_runs_within_another_but_not_for_ever() {
    let room = Room::open().await.unwrap();
    let inner = made(&room.ann, &crate::room::echo()).await.unwrap();
    let outer = |app: &str| {
        step(
            "promptly_app",
            json!({}),
            json!({"promptly_app": json!({"promptly_app_uuid": app, "input": {"word": "{{ _inputs0.w }}"}}).to_string()}),
        )
    };
    let id = made(&room.ann, &outer(&inner)).await.unwrap();
    let whole = run(&room.ann, &id, json!({"w": "deep"})).await.unwrap();
    assert_eq!(
        whole["output"]["c"],
        json!({"text": "Said: deep ", "objref": null, "processing": false})
    );
    let circle = made(&room.ann, &outer(&inner)).await.unwrap();
    let patch = outer(&circle);
    let path = format!("/api/apps/{circle}");
    room.ann.request(reqwest::Method::PATCH, &path).json(&patch).send().await.unwrap();
    let whole = run(&room.ann, &circle, json!({})).await.unwrap();
    assert!(whole["errors"][0].as_str().unwrap().contains("apps within apps"), "{whole}");
    let foreign = made(&room.bob, &outer(&inner)).await.unwrap();
    let whole = run(&room.bob, &foreign, json!({})).await.unwrap();
    assert_eq!(whole["errors"], json!(["c: the app does not exist"]));
    room.close().await.unwrap();
}
