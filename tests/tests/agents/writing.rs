//! What models write about agents, and what stands in when they do not.

use super::room::{Room, answer, data, refused, says};
use annals_tests::model_server::{Fail, Script};
use anyhow::Result;
use serde_json::{Value, json};

const DRAFT: &str = "/api/agent/auto-generate";
const OPTIMIZE: &str = "/api/agent/system-prompt/optimize";
const DRAFT_KEYS: [&str; 14] = [
    "id",
    "name",
    "description",
    "systemPrefix",
    "deepThinking",
    "multiAgent",
    "moreSupport",
    "maxLoopCount",
    "llmConfig",
    "availableTools",
    "systemContext",
    "availableWorkflows",
    "exportTime",
    "version",
];

fn fails() -> Script {
    let message = "down".to_owned();
    let fail = Fail { status: 400, times: usize::MAX, retry_after: None, message };
    Script { fail: Some(fail), ..Script::default() }
}

#[tokio::test]
async fn the_template_comes_in_two_languages() -> Result<()> {
    let room = Room::offline().await?;
    let path = "/api/agent/template/default_system_prompt";
    for (query, word) in
        [("", "角色"), ("?language=zh", "角色"), ("?language=en", "Role"), ("?language=xx", "角色")]
    {
        let (_, said) = answer(room.ann.get(&format!("{path}{query}"))).await?;
        assert_eq!(said["message"], "成功获取默认System Prompt模板");
        assert!(said["data"]["content"].as_str().unwrap().contains(word), "{query}");
    }
    assert_eq!(answer(room.node.nobody()?.get(path)).await?.0, 401);
    room.close().await
}

#[tokio::test]
async fn an_agent_is_drafted_from_what_the_model_answers() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(says(
        "Here you are:\n```json\n{\"name\": \"Finder\", \"description\": \"Finds.\",\
        \"systemPrefix\": \"You find.\", \"availableTools\": [\"made_up\"],\
        \"availableWorkflows\": {\"w\": [\"a\", 7, \"b\"], \"bad\": \"x\"}}\n```",
    ));
    let body = json!({"agent_description": "find things", "available_tools": ["grep", "glob"]});
    let (_, said) = answer(room.ann.post(DRAFT).json(&body)).await?;
    assert_eq!(said["message"], "Agent自动生成成功");
    let draft = &said["data"];
    for key in DRAFT_KEYS {
        assert!(draft.get(key).is_some(), "{key}");
    }
    for (key, value) in [
        ("id", json!("")),
        ("name", json!("Finder")),
        ("systemPrefix", json!("You find.")),
        ("availableTools", json!(["grep", "glob"])),
        ("availableWorkflows", json!({"w": ["a", "b"]})),
        ("maxLoopCount", json!(100)),
        ("version", json!("1.0")),
    ] {
        assert_eq!(draft[key], value, "{key}");
    }
    assert!(draft["exportTime"].as_str().unwrap().ends_with('Z'));
    let asked = room.model.calls().all().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("find things") && asked.contains("grep"), "{asked}");
    assert_eq!(data(room.ann.get("/api/agent/list")).await?, json!([]), "nothing is saved");
    room.close().await
}

#[tokio::test]
async fn rubbish_is_replaced_by_the_template_and_failures_are_told() -> Result<()> {
    let room = Room::open().await?;
    for rubbish in
        ["I cannot do that.", "{\"name\": 7, \"systemPrefix\": null}", "```json\n{\"name\": \n```"]
    {
        room.model.follow(says(rubbish));
        let body = json!({"agent_description": "find things", "language": "en"});
        let draft = data(room.ann.post(DRAFT).json(&body)).await?;
        assert_eq!(
            (&draft["name"], &draft["description"]),
            (&json!("find things"), &json!("find things"))
        );
        assert!(draft["systemPrefix"].as_str().unwrap().contains("# Task\nfind things"));
        let optimized =
            data(room.ann.post(OPTIMIZE).json(&json!({"original_prompt": "x"}))).await?;
        assert_eq!(optimized["success"], false, "{optimized}");
    }
    room.model.follow(fails());
    let body = json!({"agent_description": "find things"});
    assert!(refused(room.ann.post(DRAFT).json(&body)).await?.starts_with("Agent自动生成失败: "));
    let (status, said) =
        answer(room.ann.post(OPTIMIZE).json(&json!({"original_prompt": "x"}))).await?;
    assert_eq!(
        (status, &said["code"], &said["data"]["success"]),
        (200, &json!(200), &json!(false))
    );
    for key in ["error", "message", "timestamp", "optimization_details"] {
        assert!(said["data"].get(key).is_some(), "{key}");
    }
    room.close().await
}

#[tokio::test]
async fn a_prompt_is_put_in_order() -> Result<()> {
    let room = Room::open().await?;
    room.model.follow(says(&json!({
        "analysis": {"role_info": "a cook"},
        "sections": {"role": "You cook.", "skills": "- boil", "format_preference": "- lists", "constraints": "- no meat"},
    }).to_string()));
    let body = json!({"original_prompt": "You cook.", "optimization_goal": "shorter"});
    let (_, said) = answer(room.ann.post(OPTIMIZE).json(&body)).await?;
    assert_eq!(said["message"], "系统提示词优化成功");
    let data = &said["data"];
    assert_eq!(data["success"], true);
    assert_eq!(
        data["optimized_prompt"],
        "# 角色\nYou cook.\n\n# 技能\n- boil\n\n# 偏好或者指导\n\n## 结果形式偏好\n- lists\n\n# 限制\n- no meat"
    );
    for key in [
        "role_info",
        "skills_info",
        "preferences_info",
        "tool_info",
        "output_requirements",
        "constraints_info",
        "terminology_info",
        "language_issues",
    ] {
        assert!(data["analysis"][key].is_string(), "{key}");
    }
    for key in [
        "role",
        "skills",
        "tool_guidance",
        "content_preference",
        "format_preference",
        "terminology",
        "constraints",
    ] {
        assert!(data["sections"][key].is_string(), "{key}");
    }
    assert_eq!(data["optimization_details"]["original_length"], 9);
    assert_eq!(data["optimization_details"]["optimization_goal"], "shorter");
    let length = data["optimized_prompt"].as_str().unwrap().chars().count();
    assert_eq!(data["optimization_details"]["optimized_length"], length);
    room.close().await
}

#[tokio::test]
async fn without_a_model_templates_answer_and_say_so() -> Result<()> {
    let room = Room::offline().await?;
    let draft = data(room.ann.post(DRAFT).json(&json!({"agent_description": "找东西"}))).await?;
    assert_eq!(draft["name"], "找东西");
    assert!(draft["description"].as_str().unwrap().contains("离线模板"));
    let optimized =
        data(room.ann.post(OPTIMIZE).json(&json!({"original_prompt": "你是厨师"}))).await?;
    assert_eq!(optimized["success"], true);
    assert!(optimized["optimized_prompt"].as_str().unwrap().starts_with("# 角色\n你是厨师"));
    assert!(optimized["analysis"]["language_issues"].as_str().unwrap().contains("离线模板"));
    for (path, body) in [
        (DRAFT, json!({})),
        (DRAFT, json!({"agent_description": " "})),
        (OPTIMIZE, json!({})),
        (OPTIMIZE, json!({"original_prompt": "x".repeat(50_001)})),
        (DRAFT, json!({"agent_description": "a", "available_tools": "all"})),
    ] {
        assert_eq!(answer(room.ann.post(path).json(&body)).await?.0, 422, "{path}");
        assert_eq!(answer(room.node.nobody()?.post(path).json(&body)).await?.0, 401, "{path}");
    }
    assert_eq!(draft["llmConfig"], json!({"model": "", "maxTokens": "", "temperature": ""}));
    assert_eq!(draft["systemContext"], Value::Object(serde_json::Map::new()));
    room.close().await
}
