use crate::room::{Room, answer, echo, made, pieces, put_together, run, yaml};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_bodies_run_an_app_without_a_model() {
    let room = Room::open().await.unwrap();
    let text = "
name: Echo
type_slug: web
output_template: {markdown: '{{ _inputs1.output_str }}'}
processors:
  - {id: e, provider_slug: promptly, processor_slug: echo, input: {input_str: 'Hello {{ _inputs0.name }}'}}
";
    let (status, app) = answer(yaml(&room.ann, Method::POST, "/api/apps", text)).await.unwrap();
    assert_eq!(status, 201);
    let path = format!("/api/apps/{}/run", app["uuid"].as_str().unwrap());
    let body = json!({"input": {"name": "Ann"}, "stream": false});
    let response = room.ann.post(&path).json(&body).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["content-security-policy"], "frame-ancestors self");
    let run_id = response.headers()["x-run-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["output"], "Hello Ann");
    assert_eq!(body["_id"], json!(run_id));
    assert_eq!(
        body["chunks"],
        json!({"_inputs0": {"name": "Ann"}, "e": {"output_str": "Hello Ann"}})
    );
    assert!(body["session"]["id"].as_str().unwrap().len() == 36);
    let (_, body) = answer(
        room.ann
            .post(&format!("{path}/my-session"))
            .json(&json!({"input": {}, "session_id": "other"})),
    )
    .await
    .unwrap();
    assert_eq!((&body["session"]["id"], &body["output"]), (&json!("my-session"), &json!("Hello ")));
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stitched_and_rendered_is_the_whole_answer() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let input = json!({"word": "one two three"});
    let stream = pieces(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(stream[0]["csp"], "frame-ancestors self");
    assert_eq!(stream[0]["template"], "Said: {{ echo1.output_str }}");
    assert_eq!(
        stream[1..],
        [
            json!({"echo1": {"output_str": "one "}}),
            json!({"echo1": {"output_str": "two "}}),
            json!({"echo1": {"output_str": "three "}})
        ]
    );
    let whole = run(&room.ann, &id, input).await.unwrap();
    assert_eq!(put_together(&stream).unwrap(), whole["output"]);
    assert_eq!(run(&room.ann, &id, json!({})).await.unwrap()["output"], "Said: nothing ");
    room.close().await.unwrap();
}

/// A diamond in the wrong order: `last` waits for `left` and `right`, and those wait for `first`.
fn diamond(template: &str) -> Value {
    let step = |id: &str, text: &str| json!({"id": id, "provider_slug": "promptly", "processor_slug": "echo", "input": {"input_str": text}});
    json!({
        "name": "Diamond", "type_slug": "web", "draft": false,
        "output_template": {"markdown": template},
        "processors": [
            step("last", "{{ left.output_str }}+{{ _inputs[3].output_str }}"),
            step("left", "l({{ first.output_str }})"),
            step("right", "r({{ first.output_str }})"),
            step("first", "{{ _inputs0.x }}"),
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_when_what_they_wait_for_is_done() {
    let room = Room::open().await.unwrap();
    let input = json!({"x": "1"});
    for (template, output) in [
        ("{{ last.output_str }}", json!("l(1)+r(1)")),
        (
            "{{ _inputs0.x }}{{ _inputs1.output_str }}{{ last.output_str }}{% for s in first %}{{ s[1] }}{% endfor %}",
            json!("1l(1)+r(1)l(1)+r(1)1"),
        ),
        ("{{ left.gone }}{% if", json!("{{ left.gone }}{% if")),
        (
            "",
            json!({"last": {"output_str": "l(1)+r(1)"}, "left": {"output_str": "l(1)"}, "right": {"output_str": "r(1)"}, "first": {"output_str": "1"}}),
        ),
    ] {
        let id = made(&room.ann, &diamond(template)).await.unwrap();
        let whole = run(&room.ann, &id, input.clone()).await.unwrap();
        assert_eq!(whole["output"], output, "{template}");
        let stream = pieces(&room.ann, &id, input.clone()).await.unwrap();
        assert_eq!(put_together(&stream).unwrap(), output, "{template}: {stream:?}");
    }
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_replayed_from_any_line_and_told_to_its_owner_only() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let body = json!({"input": {"word": "a b"}, "stream": true});
    let response = room.ann.post(&format!("/api/apps/{id}/run")).json(&body).send().await.unwrap();
    let run = response.headers()["x-run-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], "application/json");
    let live = response.text().await.unwrap();
    let path = format!("/v1/runs/{run}/stream");
    let whole = room.ann.get(&path).send().await.unwrap().text().await.unwrap();
    let end = "{\"output\":\"Said: a b \"}\n";
    assert_eq!(whole, format!("{live}{end}"));
    let last = room.ann.get(&format!("{path}?last_index=2")).send().await.unwrap();
    assert_eq!(
        last.text().await.unwrap(),
        format!("{{\"echo1\":{{\"output_str\":\"b \"}}}}\n{end}")
    );
    let (status, told) = answer(room.ann.get(&format!("/v1/runs/{run}"))).await.unwrap();
    assert_eq!(
        (status, &told["state"], &told["surface"]),
        (200, &json!("completed"), &json!("llmstack"))
    );
    assert_eq!(answer(room.bob.get(&format!("/v1/runs/{run}"))).await.unwrap().0, 404);
    assert_eq!(room.bob.get(&path).send().await.unwrap().status(), 404);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sent_to_those_who_ask_for_them() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let body = json!({"input": {"word": "a b"}, "stream": true});
    let request =
        room.ann.post(&format!("/api/apps/{id}/run")).header("accept", "text/event-stream");
    let response = request.json(&body).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = response.text().await.unwrap();
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(put_together(&data).unwrap(), "Said: a b ");
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_come_as_json_yaml_and_forms() {
    let room = Room::open().await.unwrap();
    let path = format!("/api/apps/{}/run", made(&room.ann, &echo()).await.unwrap());
    let form = room.ann.post(&path).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body("input=%7B%22word%22%3A+%22f%22%7D&stream=false");
    let part = "--X\r\ncontent-disposition: form-data; name=\"input\"\r\n\r\n{\"word\": \"m\"}\r\n--X--\r\n";
    let multipart =
        room.ann.post(&path).header("content-type", "multipart/form-data; boundary=X").body(part);
    let yaml = yaml(&room.ann, Method::POST, &path, "input: {word: y}");
    let none = room.ann.post(&path);
    for (request, output) in
        [(form, "Said: f "), (multipart, "Said: m "), (yaml, "Said: y "), (none, "Said: nothing ")]
    {
        let (status, body) = answer(request).await.unwrap();
        assert_eq!((status, &body["output"]), (200, &json!(output)), "{body}");
    }
    for body in
        [json!({"input": []}), json!({"input": {}, "stream": "maybe"}), json!({"session_id": 4})]
    {
        let (status, body) = answer(room.ann.post(&path).json(&body)).await.unwrap();
        assert_eq!(status, 400, "{body}");
        assert!(body["detail"].is_string(), "{body}");
    }
    room.close().await.unwrap();
}
