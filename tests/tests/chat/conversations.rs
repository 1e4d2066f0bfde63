//! Conversations: list, messages, shared view, title, deletion; everybody sees their own.

use super::room::{Room, WEB, answer, data, failed, unprocessable};
use annals_tests::model_server::Script;
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

fn sessions(list: &Value) -> Vec<&str> {
    list["list"].as_array().unwrap().iter().map(|c| c["session_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_list_is_paged_sorted_and_searched() -> Result<()> {
    let room = Room::open().await?;
    for (session, title) in
        [("s1", "berry"), ("s2", "apple_pie"), ("s3", "cherry 词🙂"), ("s4", "dapple%pie")]
    {
        room.ann.say(WEB, session, title).await?.rest(&mut Vec::new()).await?;
    }
    room.ann.say(WEB, "s1", "more").await?.rest(&mut Vec::new()).await?;
    room.bob.say(WEB, "his", "berry").await?.rest(&mut Vec::new()).await?;
    let list = async |query: &str| data(room.ann.get(&format!("/api/conversations{query}"))).await;

    let all = list("").await?;
    assert_eq!(sessions(&all), ["s1", "s4", "s3", "s2"], "last touched first");
    for (key, value) in [
        ("total", json!(4)),
        ("page", json!(1)),
        ("page_size", json!(10)),
        ("total_pages", json!(1)),
        ("has_next", json!(false)),
        ("has_prev", json!(false)),
        ("user_id", json!(room.ann.user)),
    ] {
        assert_eq!(all[key], value, "{key}");
    }
    let first = &all["list"][0];
    for (key, value) in [
        ("title", json!("berry")),
        ("user_count", json!(2)),
        ("agent_count", json!(2)),
        ("message_count", json!(4)),
        ("agent_id", json!("default_agent")),
        ("agent_name", json!("Sage Assistant")),
        ("user_id", json!(room.ann.user)),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    let at = first["created_at"].as_str().unwrap();
    assert!(chrono::NaiveDateTime::parse_from_str(at, "%Y-%m-%dT%H:%M:%S%.6f").is_ok(), "{at}");

    let second = list("?page=2&page_size=3").await?;
    assert_eq!((sessions(&second), &second["total_pages"]), (vec!["s2"], &json!(2)));
    assert_eq!((&second["has_next"], &second["has_prev"]), (&json!(false), &json!(true)));
    let beyond = list("?page=9").await?;
    assert_eq!((sessions(&beyond), &beyond["total"]), (vec![], &json!(4)));
    assert_eq!(sessions(&list("?sort_by=title").await?), ["s2", "s1", "s3", "s4"]);
    assert_eq!(sessions(&list("?sort_by=messages").await?)[0], "s1");
    assert_eq!(sessions(&list("?sort_by=nonsense").await?), ["s1", "s4", "s3", "s2"]);
    assert_eq!(sessions(&list("?search=BERRY").await?), ["s1"], "somebody else's, or not by case");
    assert_eq!(sessions(&list("?search=e_p").await?), ["s2"], "no wildcards");
    assert_eq!(sessions(&list("?search=e%25p").await?), ["s4"], "no wildcards");
    assert_eq!(sessions(&list("?search=%E8%AF%8D").await?), ["s3"]);
    assert_eq!(sessions(&list("?search=%00").await?), Vec::<&str>::new());
    assert_eq!(sessions(&list("?agent_id=agent_other").await?), Vec::<&str>::new());
    assert_eq!(
        sessions(&list(&format!("?user_id={}", room.bob.user)).await?).len(),
        4,
        "only one's own"
    );
    room.close().await
}

#[tokio::test]
async fn limits_of_the_list_are_held() -> Result<()> {
    let room = Room::open().await?;
    for (query, kind, place) in [
        ("page=0", "greater_than_equal", "page"),
        ("page_size=0", "greater_than_equal", "page_size"),
        ("page_size=101", "less_than_equal", "page_size"),
        ("page=x", "int_parsing", "page"),
        ("page=99999999999999999999", "int_parsing", "page"),
    ] {
        let refused = answer(room.ann.get(&format!("/api/conversations?{query}"))).await?;
        unprocessable(&refused, kind, &json!(["query", place]));
    }
    let empty = data(room.ann.get("/api/conversations?page=2147483647&page_size=100")).await?;
    assert_eq!((&empty["total"], &empty["total_pages"]), (&json!(0), &json!(0)));
    room.close().await
}

#[tokio::test]
async fn titles_come_from_the_first_message_and_can_be_changed() -> Result<()> {
    let room = Room::open().await?;
    let long = "word ".repeat(30);
    let cases = [
        (
            "<enable_deep_thinking>true</enable_deep_thinking><skill>x</skill>Plain  \n title",
            "Plain title",
        ),
        (long.as_str(), &format!("{}...", &long[..50])),
        ("<enable_plan>true</enable_plan>", "新会话"),
    ];
    for (i, (said, title)) in cases.into_iter().enumerate() {
        let session = format!("t{i}");
        room.ann.say(WEB, &session, said).await?.rest(&mut Vec::new()).await?;
        assert_eq!(room.ann.messages(&session).await?["conversation_info"]["title"], title);
    }
    let rename = |session: &str, body: Value| {
        room.ann.post(&format!("/api/conversations/{session}/title")).json(&body)
    };
    let (_, body) = answer(rename("t0", json!({"title": "  New 🙂  "}))).await?;
    assert_eq!(body["message"], "会话 t0 标题已更新");
    assert_eq!(body["data"], json!({"session_id": "t0", "title": "New 🙂"}));
    assert_eq!(room.ann.messages("t0").await?["conversation_info"]["title"], "New 🙂");
    let unnamed = answer(rename("t0", json!({}))).await?;
    unprocessable(&unnamed, "missing", &json!(["body", "title"]));
    for bad in [json!(" "), json!("x".repeat(256))] {
        assert_eq!(answer(rename("t0", json!({"title": bad}))).await?.0, 500);
    }
    failed(&answer(rename("nobody", json!({"title": "x"}))).await?, 500, "会话 nobody 不存在");
    room.close().await
}

#[tokio::test]
async fn messages_come_with_what_belongs_to_them() -> Result<()> {
    let room = Room::open().await?;
    let lines = room.said("s", &Script { deltas: 2, ..Script::default() }).await?;
    let shown = room.ann.messages("s").await?;
    assert_eq!((&shown["conversation_id"], &shown["message_count"]), (&json!("s"), &json!(2)));
    assert_eq!(shown["next_stream_index"], lines.len());
    let info = &shown["conversation_info"];
    assert_eq!((&info["session_id"], &info["agent_id"]), (&json!("s"), &json!("default_agent")));
    assert!(info["created_at"].is_string() && info["updated_at"].is_string());
    let question = &shown["messages"][0];
    assert_eq!((&question["role"], &question["type"]), (&json!("user"), &json!("user_input")));
    assert_eq!(
        (&question["message_type"], &question["session_id"]),
        (&json!("user_input"), &json!("s"))
    );
    room.close().await
}

#[tokio::test]
async fn switches_that_clients_set_are_not_shown_as_if_somebody_had_said_them() -> Result<()> {
    let room = Room::open().await?;
    let switches =
        "<enable_deep_thinking>false</enable_deep_thinking> <enable_plan>true</enable_plan>";
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let cases = [
        (json!(format!("{switches} <skill>x</skill> hello")), json!("<skill>x</skill> hello")),
        (
            json!([{"type": "text", "text": format!("{switches} hello")}, picture.clone()]),
            json!([{"type": "text", "text": "hello"}, picture.clone()]),
        ),
        (json!([{"type": "text", "text": switches}, picture.clone()]), json!([picture])),
    ];
    for (at, (sent, shown)) in cases.into_iter().enumerate() {
        let session = format!("s{at}");
        let body = json!({"messages": [{"role": "user", "content": sent}], "session_id": session});
        room.ann.post(WEB).json(&body).send().await?.error_for_status()?.bytes().await?;
        assert_eq!(room.ann.messages(&session).await?["messages"][0]["content"], shown);
        let shared = format!("/api/share/conversations/{session}/messages");
        assert_eq!(data(room.ann.get(&shared)).await?["messages"][0]["content"], shown);
    }
    room.close().await
}

#[tokio::test]
async fn somebody_elses_conversation_is_as_good_as_none() -> Result<()> {
    let room = Room::open().await?;
    room.said("s", &Script::default()).await?;
    let calls = |session: &str| {
        let path = format!("/api/conversations/{session}");
        vec![
            room.bob.get(&format!("{path}/messages")),
            room.bob.post(&format!("{path}/title")).json(&json!({"title": "mine now"})),
            room.bob.request(Method::DELETE, &path),
        ]
    };
    for session in ["s", "unknown"] {
        for call in calls(session) {
            failed(&answer(call).await?, 500, &format!("会话 {session} 不存在"));
        }
    }
    let tasks = answer(room.bob.post("/api/sessions/s/tasks_status")).await?;
    failed(&tasks, 500, "会话 s 已完成或者不存在");
    let own = data(room.ann.post("/api/sessions/s/tasks_status")).await?;
    assert_eq!(
        own,
        json!({"session_id": "s", "tasks_status": {"tasks": []}, "user_id": room.ann.user})
    );
    let title = room.ann.messages("s").await?["conversation_info"]["title"].clone();
    assert_ne!(title, "mine now");
    for path in ["/api/conversations", "/api/conversations/s/messages"] {
        failed(&answer(room.node.nobody()?.get(path)).await?, 401, "未授权");
    }
    room.close().await
}

#[tokio::test]
async fn whoever_knows_the_id_may_read_but_not_what_is_inside() -> Result<()> {
    let room = Room::open().await?;
    let body = json!({"session_id": "s", "messages":
        [{"role": "user", "content": "hello", "metadata": {"note": "internal"}}]});
    room.ann.post(WEB).json(&body).send().await?.text().await?;
    let shared = room.node.nobody()?.get("/api/share/conversations/s/messages");
    let (status, reply) = answer(shared).await?;
    assert_eq!((status, &reply["message"]), (200, &json!("获取分享消息成功")));
    let own = room.ann.messages("s").await?;
    assert_eq!(own["messages"][0]["metadata"], json!({"note": "internal"}));
    assert_eq!(reply["data"]["messages"][0]["metadata"], json!({}));
    assert_eq!(reply["data"]["messages"][1]["content"], own["messages"][1]["content"]);
    let unknown =
        answer(room.node.nobody()?.get("/api/share/conversations/unknown/messages")).await?;
    failed(&unknown, 500, "会话 unknown 不存在");
    room.close().await
}
