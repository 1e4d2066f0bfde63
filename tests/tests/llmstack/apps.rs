use crate::room::{Room, answer, echo, made, run, yaml};
use reqwest::Method;
use serde_json::{Value, json};

const APP: &str = "
name: Rewriter
type_slug: web
processors:
  - id: one
    provider_slug: promptly
    processor_slug: echo
    input: {input_str: '{{ _inputs0.q }}'}
  - id: two
    provider_slug: stabilityai
    processor_slug: text2image
    input: {prompt: '{{ one.output_str }}'}
";

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_made_from_yaml_changed_published_and_deleted() {
    let room = Room::open().await.unwrap();
    let ann = &room.ann;
    let (status, app) = answer(yaml(ann, Method::POST, "/api/apps", APP)).await.unwrap();
    assert_eq!(status, 201, "{app}");
    let path = format!("/api/apps/{}", app["uuid"].as_str().unwrap());
    for (field, value) in [
        ("name", json!("Rewriter")),
        ("description", json!("")),
        ("is_published", json!(false)),
        ("has_live_version", json!(false)),
        ("visibility", json!(3)),
        ("access_permission", json!(1)),
        ("app_type_slug", json!("web")),
        ("processors", json!([])),
        ("unique_processors", json!(["promptly / echo", "stabilityai / text2image"])),
        ("published_uuid", Value::Null),
    ] {
        assert_eq!(app[field], value, "{field}");
    }
    assert_eq!(app["data"]["version"], 0);
    assert_eq!(app["data"]["processors"][1]["input"]["prompt"], "{{ one.output_str }}");
    assert_eq!(app["type"]["slug"], "web");
    assert!(app["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(answer(ann.get(&path)).await.unwrap(), (200, app.clone()));
    assert_eq!(answer(ann.get("/api/apps")).await.unwrap(), (200, json!([app])));
    let (_, names) = answer(ann.get("/api/apps?fields=name,uuid")).await.unwrap();
    assert_eq!(names, json!([{"name": "Rewriter", "uuid": app["uuid"]}]));
    let (_, again) = answer(ann.get("/api/apps?fields=icon&fields=name,uuid")).await.unwrap();
    assert_eq!(again, names);

    let patch = "description: Better\ndraft: false\ncomment: Release\n";
    let (status, patched) = answer(yaml(ann, Method::PATCH, &path, patch)).await.unwrap();
    assert_eq!((status, &patched["description"]), (201, &json!("Better")));
    assert_eq!(patched["has_live_version"], true);
    assert_eq!(patched["data"]["processors"], app["data"]["processors"]);
    let (status, _) =
        answer(ann.request(Method::PATCH, &path).json(&json!({"name": "R"}))).await.unwrap();
    assert_eq!(status, 201);
    let (_, versions) = answer(ann.get(&format!("{path}/versions"))).await.unwrap();
    let told: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|v| json!([v["version"], v["is_draft"], v["comment"], v["data"]]))
        .collect();
    assert_eq!(json!(told), json!([[1, true, "", null], [0, false, "Release", null]]));
    let (_, first) = answer(ann.get(&format!("{path}/versions/0"))).await.unwrap();
    assert_eq!(first["data"]["name"], "Rewriter");
    let (status, body) = answer(ann.get(&format!("{path}/versions/7"))).await.unwrap();
    assert_eq!((status, body), (404, json!({"message": "Version not found"})));

    assert_eq!(
        answer(ann.post(&format!("{path}/publish")).json(&json!({}))).await.unwrap(),
        (200, Value::Null)
    );
    let (status, body) = answer(ann.request(Method::DELETE, &path)).await.unwrap();
    assert_eq!((status, body), (400, json!({"message": "Cannot delete a published app."})));
    assert_eq!(answer(ann.post(&format!("{path}/unpublish"))).await.unwrap().0, 200);
    assert_eq!(answer(ann.request(Method::DELETE, &path)).await.unwrap(), (200, Value::Null));
    assert_eq!(answer(ann.get(&path)).await.unwrap().0, 404);
    assert_eq!(answer(ann.get("/api/apps")).await.unwrap().1, json!([]));
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_path_and_line_and_nothing_is_written() {
    let room = Room::open().await.unwrap();
    let ann = &room.ann;
    let before = room.node.settled().await.unwrap();
    let wrong = |text: &'static str| yaml(ann, Method::POST, "/api/apps", text);
    let two = "name: A\ntype_slug: web\nprocessors:\n  - {id: x, provider_slug: promptly, processor_slug: echo}\n";
    let repeated: &'static str = Box::leak(
        format!("{two}  - provider_slug: promptly\n    processor_slug: echo\n    id: x\n")
            .into_boxed_str(),
    );
    for (text, error) in [
        ("type_slug: web", "name is required"),
        ("name: A", "type_slug is required"),
        (
            "name: A\ntype_slug: nope",
            "type_slug: unknown app type \"nope\"; known: web, text-chat, agent, workflow, voice-agent (line 2)",
        ),
        (repeated, "processors[1].id: \"x\" is the id of an earlier step (line 7)"),
        (
            "name: A\ntype_slug: web\nprocessors:\n  - id: x\n    config: [1]\n",
            "processors[0].config: invalid type: sequence, expected a map (line 5)",
        ),
        (
            "name: A\ntype_slug: web\nprocessors:\n  - id: x\n    provider_slug: promptly\n    processor_slug: echo\n    input: {input_str: '{{ x.output_str }}'}\n",
            "processors[0]: steps wait for one another and would never run: x (line 4)",
        ),
    ] {
        let (status, body) = answer(wrong(text)).await.unwrap();
        assert_eq!((status, body), (400, json!({ "errors": [error] })), "{text}");
    }
    assert_eq!(room.node.settled().await.unwrap(), before);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_nobody_runs_is_stored_and_refused_when_it_should_run() {
    let room = Room::open().await.unwrap();
    let (_, app) = answer(yaml(&room.ann, Method::POST, "/api/apps", APP)).await.unwrap();
    let path = format!("/api/apps/{}/run", app["uuid"].as_str().unwrap());
    let (status, body) = answer(room.ann.post(&path).json(&json!({}))).await.unwrap();
    assert_eq!(
        (status, body),
        (400, json!({"errors": ["Unsupported processor stabilityai/text2image"]}))
    );
    let (_, catalogue) = answer(room.ann.get("/api/apibackends")).await.unwrap();
    let ids: Vec<&str> =
        catalogue.as_array().unwrap().iter().filter_map(|p| p["id"].as_str()).collect();
    assert!(ids.contains(&"promptly/echo") && !ids.contains(&"stabilityai/text2image"), "{ids:?}");
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_app_is_as_good_as_none_until_it_is_published() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &echo()).await.unwrap();
    let path = format!("/api/apps/{id}");
    let missing = (404, json!({"detail": "No App matches the given query."}));
    let bob = &room.bob;
    for request in [
        bob.get(&path),
        bob.get(&format!("{path}/versions")),
        bob.request(Method::PATCH, &path).json(&json!({"name": "mine"})),
        bob.request(Method::DELETE, &path),
        bob.post(&format!("{path}/publish")).json(&json!({})),
        bob.post(&format!("{path}/unpublish")),
        bob.post(&format!("{path}/run")).json(&json!({})),
        bob.post(&format!("{path}/run/s")).json(&json!({})),
    ] {
        assert_eq!(answer(request).await.unwrap(), missing);
    }
    assert_eq!(answer(bob.get("/api/apps")).await.unwrap().1, json!([]));
    let publish = |visibility: u8| {
        room.ann.post(&format!("{path}/publish")).json(&json!({"visibility": visibility}))
    };
    assert_eq!(answer(publish(0)).await.unwrap().0, 200);
    assert_eq!(answer(bob.get(&path)).await.unwrap(), missing);
    assert_eq!(answer(publish(2)).await.unwrap().0, 200);
    let (status, seen) = answer(bob.get(&path)).await.unwrap();
    assert_eq!(
        (status, &seen["access_permission"], &seen["owner_email"]),
        (200, &json!(0), &Value::Null)
    );
    assert_eq!(seen["data"].get("processors"), None);
    assert_eq!(run(bob, &id, json!({"word": "x"})).await.unwrap()["output"], "Said: x ");
    // Upstream's words for what is there and not yours: a status, and no body.
    let mine = json!({"name": "mine", "visibility": 3});
    for (method, path, status) in [
        (Method::PATCH, path.clone(), 403),
        (Method::POST, format!("{path}/publish"), 403),
        (Method::POST, format!("{path}/unpublish"), 403),
        (Method::DELETE, path.clone(), 404),
    ] {
        let told = answer(bob.request(method.clone(), &path).json(&mine)).await.unwrap();
        assert_eq!(told, (status, Value::Null), "{method} {path}");
    }
    let published = seen["published_uuid"].as_str().unwrap();
    assert_eq!(answer(bob.get(&format!("/api/app/{published}"))).await.unwrap().0, 200);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_number_can_be_read_again() {
    let room = Room::open().await.unwrap();
    let mut app = echo();
    app["config"] = json!({"largest": f64::MAX, "smallest": f64::MIN_POSITIVE});
    let id = made(&room.ann, &app).await.unwrap();
    let path = format!("/api/apps/{id}");
    let renamed = room.ann.request(Method::PATCH, &path).json(&json!({"name": "Numbers"}));
    assert_eq!(answer(renamed).await.unwrap().0, 201);
    let (status, shown) = answer(room.ann.get(&path)).await.unwrap();
    assert_eq!((status, &shown["data"]["config"]), (200, &app["config"]));
    assert_eq!(answer(room.ann.get("/api/apps")).await.unwrap().0, 200);
    room.close().await.unwrap();
}
