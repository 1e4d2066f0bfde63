//! Skills of one agent, and what an agent may load.

use super::hall::{Hall, answer, data, delete, edit, failed, listed, put, skill, text, upload};
use anyhow::Result;
use domain::skill::Home;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_agents_own_skill_counts_before_its_owners_and_the_systems() -> Result<()> {
    let hall = Hall::open().await?;
    let (root, ann) = (&hall.root, &hall.ann);
    let agent = hall.agent(ann, "Helper", &["both", "only system"]).await?;
    let of_agent = [("is_agent", "true"), ("agent_id", agent.as_str())];
    for name in ["all", "both", "only system"] {
        put(root, name, "system", &[("is_system", "true")]).await?;
    }
    for name in ["all", "both"] {
        put(ann, name, "user", &[]).await?;
    }
    put(ann, "all", "agent", &of_agent).await?;
    put(&hall.bob, "all", "of bob", &[]).await?;

    let path = format!("/api/skills/agent-available?agent_id={agent}");
    let (_, body) = answer(ann.get(&path)).await?;
    assert_eq!(body["message"], "获取Agent可用技能列表成功");
    let skill = |name: &str, from: &str| json!({"name": name, "description": from, "source_dimension": from});
    let expected = [skill("all", "agent"), skill("both", "user"), skill("only system", "system")];
    assert_eq!(body["data"], json!({"skills": expected}));
    // An administrator sees what the agent's owner sees.
    assert_eq!(data(root.get(&path)).await?, json!({"skills": expected}));
    failed(&answer(hall.bob.get(&path)).await?, 500, &format!("Agent '{agent}' 不存在"));
    assert_eq!(answer(ann.get("/api/skills/agent-available")).await?.0, 422);

    let selected = listed(ann, &format!("?agent_id={agent}")).await?;
    let names: Vec<_> = selected.iter().map(|(name, from)| format!("{name}/{from}")).collect();
    assert_eq!(names, ["both/system", "both/user", "only system/system"]);
    let theirs = data(ann.get("/api/skills?dimension=agent")).await?;
    let theirs = &theirs["skills"][0];
    assert_eq!((&theirs["agent_id"], &theirs["agent_name"]), (&json!(agent), &json!("Helper")));
    assert_eq!(theirs["path"], format!("agents/{}/{agent}/skills/all", ann.user));
    hall.close().await
}

#[tokio::test]
async fn an_agents_skill_is_changed_by_whoever_changes_the_agent() -> Result<()> {
    let hall = Hall::open().await?;
    let (ann, bob) = (&hall.ann, &hall.bob);
    let agent = hall.agent(ann, "Helper", &[]).await?;
    let of_agent = [("is_agent", "true"), ("agent_id", agent.as_str())];
    let archive = skill("tool", "agent")?;
    let unknown = format!("Agent '{agent}' 不存在");
    failed(&answer(upload(bob, "a.zip", &archive, &of_agent)).await?, 500, &unknown);
    put(ann, "tool", "agent", &of_agent).await?;
    // Without an agent it becomes one's own.
    put(bob, "tool", "user", &[("is_agent", "true")]).await?;
    assert_eq!(listed(bob, "").await?, [("tool".to_owned(), "user".to_owned())]);

    let named = format!("name=tool&agent_id={agent}");
    data(delete(bob, &named)).await?;
    let content = format!("/api/skills/content?{named}");
    failed(&answer(bob.get(&content)).await?, 500, "Skill 'tool' not found");
    let change = json!({"name": "tool", "content": text("tool", "new"), "agent_id": agent});
    failed(&answer(edit(bob, &change)).await?, 500, "Skill 'tool' not found");
    data(edit(ann, &change)).await?;
    assert_eq!(data(ann.get(&content)).await?["content"], text("tool", "new"));
    data(delete(ann, &named)).await?;
    let home = Home::Agent { owner: ann.user.clone(), agent: agent.as_str().into() };
    assert_eq!(hall.events(&home, "tool").await?, ["SkillImported", "SkillEdited", "SkillDeleted"]);
    assert_eq!(listed(bob, "").await?.len(), 1);

    put(ann, "tool", "agent", &of_agent).await?;
    data(ann.request(Method::DELETE, &format!("/api/agent/{agent}"))).await?;
    hall.node.settled().await?;
    assert_eq!(listed(ann, "").await?, []);
    data(delete(ann, &named)).await?;
    hall.close().await
}

#[tokio::test]
async fn with_whom_an_agent_is_shared_sees_the_skills_it_works_with_and_no_others() -> Result<()> {
    let hall = Hall::open().await?;
    let (ann, bob) = (&hall.ann, &hall.bob);
    let agent = hall.agent(ann, "Helper", &["selected"]).await?;
    for name in ["selected", "private"] {
        put(ann, name, "user", &[]).await?;
    }
    let users = json!({"user_ids": [bob.user]});
    data(ann.post(&format!("/api/agent/{agent}/auth")).json(&users)).await?;
    let path = format!("/api/skills/agent-available?agent_id={agent}");
    let available = async |who| -> Result<usize> {
        Ok(data(who).await?["skills"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(available(ann.get(&path)).await?, 2);
    assert_eq!(available(bob.get(&path)).await?, 1);
    assert_eq!(listed(bob, &format!("?agent_id={agent}")).await?.len(), 1);
    let named = format!("name=selected&agent_id={agent}");
    let content = bob.get(&format!("/api/skills/content?{named}"));
    failed(&answer(content).await?, 500, "Skill 'selected' not found");
    let fields = [("is_agent", "true"), ("agent_id", agent.as_str())];
    let upload = answer(upload(bob, "a.zip", &skill("x", "y")?, &fields)).await?;
    failed(&upload, 500, "无权更新该Agent");
    // Nor does a run load what was not selected.
    let place = super::loading::place(bob, Some(&agent), &["selected", "private"]);
    let tools = super::loading::tools(&hall, &place).await?;
    assert_eq!(tools[0].parameters["properties"]["skill_name"]["enum"], json!(["selected"]));
    hall.close().await
}
