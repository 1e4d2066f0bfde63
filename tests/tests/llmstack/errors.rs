//! What is wrong with a request is said in the dialect's words, at the root and below its prefix, and writes nothing.

use crate::room::{Room, answer, echo, made, yaml};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_standard_error_comes_as_written() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let before = room.node.settled().await.unwrap();
    let typed = |method: Method, path: &str, kind: &str, body: &str| {
        room.ann.request(method, path).header("content-type", kind).body(body.to_owned())
    };
    let detail = |text: &str| json!({ "detail": text });
    for prefix in ["", "/llmstack"] {
        let apps = format!("{prefix}/api/apps");
        let app = format!("{apps}/{id}");
        let run = format!("{app}/run");
        for path in [&apps, &run] {
            let (status, body) =
                answer(typed(Method::POST, path, "application/json", "{\"a\": ")).await.unwrap();
            let said = body["detail"].as_str().unwrap();
            assert_eq!(status, 400, "{body}");
            assert!(said.starts_with("JSON parse error - ") && !said.contains("decode"), "{said}");
            for text in ["a: [1", "a: &a [*a]\n", "\t- x: :", "a: \"\u{1}\""] {
                let (status, body) =
                    answer(yaml(&room.ann, Method::POST, path, text)).await.unwrap();
                let said = body["detail"].as_str().unwrap_or_default();
                assert!(status == 400 && said.starts_with("YAML parse error - "), "{text}: {body}");
            }
            let broken = room.ann.post(path).header("content-type", "application/yaml");
            let (status, body) = answer(broken.body(vec![b'a', b':', 0xff])).await.unwrap();
            assert!(status == 400 && body["detail"].is_string(), "{body}");
            assert_eq!(
                answer(typed(Method::POST, path, "text/plain", "x")).await.unwrap(),
                (415, detail("Unsupported media type \"text/plain\" in request."))
            );
            assert_eq!(
                answer(typed(Method::POST, path, "application/json", "[1]")).await.unwrap(),
                (400, detail("Invalid data. Expected a dictionary."))
            );
            let deep = "[".repeat(100_000);
            let (status, body) =
                answer(typed(Method::POST, path, "application/json", &deep)).await.unwrap();
            let said = body["detail"].as_str().unwrap_or_default();
            assert!(status == 400 && said.starts_with("JSON parse error - "), "{body}");
        }
        for (method, path) in [
            (Method::PUT, apps.clone()),
            (Method::DELETE, apps.clone()),
            (Method::POST, app.clone()),
            (Method::PUT, app.clone()),
            (Method::GET, run.clone()),
            (Method::DELETE, format!("{run}/s")),
            (Method::PUT, format!("{prefix}/api/me")),
            (Method::POST, format!("{prefix}/api/profiles/me")),
            (Method::POST, format!("{prefix}/api/history")),
            (Method::DELETE, format!("{prefix}/api/history/{id}")),
            (Method::GET, format!("{app}/publish")),
            (Method::PATCH, format!("{app}/versions")),
            (Method::DELETE, format!("{prefix}/api/apibackends")),
            (Method::POST, format!("{prefix}/api/jobs")),
            (Method::POST, format!("{prefix}/ws/apps/{id}")),
        ] {
            let text = format!("Method \"{method}\" not allowed.");
            let told = answer(room.ann.request(method, &path)).await.unwrap();
            assert_eq!(told, (405, detail(&text)), "{path}");
        }
        let nothing = uuid::Uuid::new_v4();
        for name in
            ["x", "..%2f", "%00", &nothing.to_string(), "123e4567-e89b-12d3-a456-42661417400"]
        {
            for path in [format!("{apps}/{name}"), format!("{apps}/{name}/versions")] {
                assert_eq!(
                    answer(room.ann.get(&path)).await.unwrap(),
                    (404, detail("No App matches the given query.")),
                    "{path}"
                );
            }
            let path = format!("{apps}/{name}/run");
            assert_eq!(answer(room.ann.post(&path).json(&json!({}))).await.unwrap().0, 404);
            assert_eq!(
                answer(room.ann.get(&format!("{prefix}/api/history/{name}"))).await.unwrap(),
                (404, detail("No RunEntry matches the given query."))
            );
        }
    }
    for path in ["/llmstack/api/nothing", "/llmstack/ws/nothing", "/llmstack", "/llmstack/"] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            let told = answer(room.ann.request(method, path)).await.unwrap();
            assert_eq!(told, (404, detail("Not found.")), "{path}");
        }
    }
    assert_eq!(room.node.settled().await.unwrap(), before);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_413_and_a_bomb_is_400() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let before = room.node.settled().await.unwrap();
    let long = format!("{{\"input\": {{\"word\": \"{}\"}}}}", "x".repeat(26 << 20));
    for path in [format!("/api/apps/{id}/run"), "/llmstack/api/apps".to_owned()] {
        for kind in ["application/json", "application/yaml", "application/x-www-form-urlencoded"] {
            let request = room.ann.post(&path).header("content-type", kind).body(long.clone());
            let (status, body) = answer(request).await.unwrap();
            assert_eq!(
                (status, body),
                (413, json!({"detail": "Request body exceeds 26214400 bytes."}))
            );
        }
    }
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, inner) in
        ["b", "c", "d", "e", "f", "g", "h"].iter().zip(["a", "b", "c", "d", "e", "f", "g"])
    {
        bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{inner}"); 9].join(", "));
    }
    for text in [bomb, "[".repeat(5_000), format!("name: {}", "{a: ".repeat(3_000))] {
        let (status, body) =
            answer(yaml(&room.ann, Method::POST, "/api/apps", &text)).await.unwrap();
        assert_eq!(status, 400, "{body}");
    }
    assert_eq!(room.node.settled().await.unwrap(), before);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_never_end_or_say_too_much_fail_nobody_else() {
    let room = Room::open().await.unwrap();
    for template in [
        "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}",
        "{% for a in (1..9999999999) %}{{ a }}{% endfor %}",
        "{% assign a = 'xxxxxxxxxx' %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "{{ _inputs0.word | times: 99999999999999999999 }}{{ 1 | divided_by: 0 }}",
        "{% if %}{% for %}{{ | }}",
        "{% for a in (1..3) %}",
    ] {
        let mut definition = echo();
        definition["output_template"]["markdown"] = template.into();
        let id = made(&room.ann, &definition).await.unwrap();
        let body = json!({"input": {"word": "w"}});
        let path = format!("/api/apps/{id}/run");
        let (status, body) = answer(room.ann.post(&path).json(&body)).await.unwrap();
        assert_eq!(status, 200, "{template}");
        let said = body["output"].as_str().map_or(0, str::len);
        assert!(said < 4 << 20, "{template}: {said}");
    }
    let stuck = json!({"name": "Stuck", "type_slug": "web", "processors": [
        {"id": "a", "provider_slug": "promptly", "processor_slug": "simple_http",
            "config": {"headers": [{"key": "X", "value": "k {{ b.output_str }}"}]}},
        {"id": "b", "provider_slug": "promptly", "processor_slug": "echo",
            "input": {"input_str": "{{ a.text }}"}}]});
    let (status, body) = answer(room.ann.post("/api/apps").json(&stuck)).await.unwrap();
    let said: Value = body["errors"][0].clone();
    assert!(status == 400 && said.as_str().unwrap().contains("wait for one another"), "{body}");
    room.close().await.unwrap();
}
