use crate::room::{Room, answer, made, pieces, put_together, run};
use annals_tests::model_server::{Script, ToolCall, text};
use serde_json::{Value, json};

fn agent(config: Value) -> Value {
    json!({
        "name": "Agent", "type_slug": "agent", "draft": false, "config": config,
        "output_template": {"markdown": "{{ agent.content }}"},
        "processors": [
            {"id": "shout", "description": "Says it loud", "provider_slug": "promptly", "processor_slug": "echo",
             "input": {"input_str": "{{ what | upcase }}"}, "output_template": {"markdown": "<{{ output_str }}>"},
             "input_fields": [{"name": "what", "type": "string", "required": true}]},
            {"id": "plain", "provider_slug": "promptly", "processor_slug": "echo"},
        ],
    })
}

fn calls(name: &str, arguments: Value) -> Script {
    let call = ToolCall { name: name.to_owned(), arguments };
    Script { deltas: 3, tool_calls: vec![call], ..Script::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_its_tools_and_answers() {
    let room = Room::open().await.unwrap();
    room.model.follow(calls("shout", json!({"what": "hi"})));
    let config = json!({"system_message": "Be {{ tone }}", "user_message": "Do {{ _inputs0.task }}", "model": "m"});
    let id = made(&room.ann, &agent(config)).await.unwrap();
    let input = json!({"task": "it", "tone": "kind"});
    let whole = run(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(whole["output"], text(3), "{whole}");
    let asked: Vec<Value> = room.model.calls().all().into_iter().map(|call| call.body).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0]["messages"],
        json!([{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Do it"}])
    );
    let tools = asked[0]["tools"].as_array().unwrap();
    assert_eq!(
        tools[0]["function"],
        json!({"name": "shout", "description": "Says it loud",
        "parameters": {"type": "object", "properties": {"what": {"type": "string", "description": ""}}, "required": ["what"]}})
    );
    assert_eq!(
        tools[1]["function"]["parameters"]["properties"]["input_str"],
        json!({"type": "string"})
    );
    let told = &asked[1]["messages"];
    assert_eq!(
        (&told[2]["role"], &told[2]["tool_calls"][0]["function"]["name"]),
        (&json!("assistant"), &json!("shout"))
    );
    assert_eq!((&told[3]["role"], &told[3]["content"]), (&json!("tool"), &json!("<HI>")));
    assert_eq!(told[3]["tool_call_id"], told[2]["tool_calls"][0]["id"]);

    let stream = pieces(&room.ann, &id, input.clone()).await.unwrap();
    assert_eq!(stream[0]["templates"]["shout"], json!({"markdown": "<{{ output_str }}>"}));
    assert_eq!(stream[1], json!({ "_inputs0": input }));
    let steps: Vec<&Value> = stream[2..].iter().map(|piece| &piece["agent"]).collect();
    let arguments: String = steps
        .iter()
        .filter(|step| step["type"] == "step")
        .filter_map(|step| step["content"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, "{\"what\":\"hi\"}");
    assert!(steps.iter().any(|step| step["type"] == "step"
        && step["from_id"] == "shout"
        && step["content"]["output"] == "<HI>"));
    let mut header = stream.clone();
    header[0]["template"] = stream[0]["templates"]["agent"]["markdown"].clone();
    assert_eq!(put_together(&header).unwrap(), whole["output"]);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_are_told_to_the_model_and_too_many_end_the_run() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &agent(json!({"max_steps": 2}))).await.unwrap();
    room.model.follow(calls("nothing", json!({})));
    let whole = run(&room.ann, &id, json!({"task": "x"})).await.unwrap();
    assert_eq!(whole["output"], text(3));
    let told = room.model.calls().all().pop().unwrap().body;
    assert_eq!(told["messages"][3]["content"], "error: there is no tool nothing");
    room.model.follow(Script { tool_rounds: 9, ..calls("plain", json!({"input_str": "again"})) });
    let before = room.model.calls().count();
    let whole = run(&room.ann, &id, json!({"task": "x"})).await.unwrap();
    assert_eq!(whole["output"], "Stopped after 2 steps without an answer.");
    assert_eq!(room.model.calls().count() - before, 2);
    let stream = pieces(&room.ann, &id, json!({"task": "x"})).await.unwrap();
    let mut header = stream.clone();
    header[0]["template"] = "{{ agent.content }}".into();
    assert_eq!(put_together(&header).unwrap(), whole["output"]);
    room.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_remembers_as_much_as_it_shall() {
    let room = Room::open().await.unwrap();
    let id = made(&room.ann, &agent(json!({"chat_history_limit": 2}))).await.unwrap();
    for task in ["one", "two", "three"] {
        let body = json!({"input": {"task": task}});
        let path = format!("/api/apps/{id}/run/s");
        assert_eq!(answer(room.ann.post(&path).json(&body)).await.unwrap().0, 200);
    }
    let told = room.model.calls().all().pop().unwrap().body;
    let told: Vec<&str> = told["messages"].as_array().unwrap()[1..]
        .iter()
        .filter_map(|m| m["content"].as_str())
        .collect();
    assert_eq!(told, ["two", &text(10), "three"]);
    room.close().await.unwrap();
}
