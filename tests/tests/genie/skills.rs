use crate::world::{World, ask, good, refused};
use anyhow::Result;
use serde_json::{Value, json};

fn names(answer: &Value) -> Vec<&str> {
    let skills = answer["data"].as_array().into_iter().flatten();
    skills.filter_map(|skill| skill["name"].as_str()).collect()
}

#[tokio::test]
async fn skills_are_listed_in_pages_and_found_by_id_and_name() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let all = good(ann.get("/api/skills?sort=name&limit=9999")).await?;
    let total = all["meta"]["total_count"].as_u64().unwrap_or_default();
    assert!(total >= 40 && names(&all).len() as u64 == total && names(&all).is_sorted());
    assert_eq!(
        good(ann.get("/api/skills")).await?["data"].as_array().map(Vec::len),
        Some(total.min(50) as usize)
    );
    let page = good(ann.get("/api/skills?sort=-name&limit=2&offset=1")).await?;
    let last: Vec<&str> = names(&all).into_iter().rev().skip(1).take(2).collect();
    assert_eq!(names(&page), last);
    let media = good(ann.get("/api/skills?tags=FFMPEG,nothing&category=03-media")).await?;
    assert!(
        names(&media).contains(&"trim-video")
            && media["meta"]["filter_count"] == names(&media).len()
    );
    let one = good(ann.get("/api/skills/trim-video?include_related=true")).await?;
    assert_eq!(one["data"]["related_skills"][0]["name"], "create-teaser-clip");
    let id = one["data"]["id"].as_str().unwrap_or_default();
    assert_eq!(good(ann.get(&format!("/api/skills/{id}"))).await?["data"]["name"], "trim-video");
    let near = good(ann.get("/api/skills/trim-video/related?limit=3")).await?;
    assert_eq!((names(&near).len(), near["data"][0]["weight"].as_f64()), (3, Some(0.9)));
    let unknown = (404, "skill_not_found".to_owned());
    assert_eq!(refused(ann.get("/api/skills/nothing")).await?, unknown);
    assert_eq!(refused(ann.get("/api/skills/nothing/related")).await?, unknown);
    for query in ["sort=color", "limit=many", "offset=-1"] {
        assert_eq!(refused(ann.get(&format!("/api/skills?{query}"))).await?.0, 400, "{query}");
    }
    assert_eq!(names(&good(ann.get("/api/skills?category=none")).await?), Vec::<&str>::new());
    world.app.stop().await
}

#[tokio::test]
async fn a_task_calls_for_skills_the_same_ones_every_time() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let task = json!({"task": "trim this video with ffmpeg and make a teaser", "limit": 6});
    let found = good(ann.post("/api/skills/activate").json(&task)).await?;
    assert!(names(&found)[..2].contains(&"trim-video"), "{:?}", names(&found));
    let sources: Vec<_> =
        found["data"].as_array().into_iter().flatten().map(|s| &s["source"]).collect();
    assert!(sources.contains(&&json!("direct")) && found["meta"]["returned"] == 6);
    assert_eq!(good(ann.post("/api/skills/activate").json(&task)).await?, found);
    let none = json!({"prompt": "zzzz"});
    assert_eq!(good(ann.post("/api/skills/activate").json(&none)).await?["data"], json!([]));
    let cut = json!({"q": "waterm", "limit": 1});
    let cut = good(ann.post("/api/skills/search").json(&cut)).await?;
    assert!(names(&cut)[0].contains("watermark") && cut["data"][0]["score"].as_f64() > Some(0.0));
    for (path, body) in [
        ("activate", json!({})),
        ("activate", json!({"task": " "})),
        ("activate", json!({"task": "x", "limit": 0})),
        ("search", json!({})),
        ("search", json!({"query": "x", "tags": 7})),
    ] {
        let request = ann.post(&format!("/api/skills/{path}")).json(&body);
        assert_eq!(refused(request).await?.0, 400, "{body}");
    }
    world.app.stop().await
}

#[tokio::test]
async fn the_same_path_answers_each_in_their_own_words() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let sage = world.app.user("bob", domain::user::Role::Creator).await?;
    assert!(good(sage.get("/api/skills")).await?["data"]["skills"].is_array());
    let (status, told) = ask(sage.get("/api/skills/trim-video")).await?;
    assert!(status == 404 && told["success"].is_null(), "Sage has no such path: {told}");
    for request in [
        ann.get("/api/skills"),
        sage.get("/api/skills?limit=1"),
        sage.get("/genie/api/skills"),
        sage.get("/genie/api/skills/trim-video"),
    ] {
        assert_eq!(good(request).await?["success"], true);
    }
    let nobody = world.app.nobody()?;
    for path in
        ["/genie/api/skills", "/genie/api/skills/x", "/api/skills/x", "/api/skills/x/related"]
    {
        assert_eq!(refused(nobody.get(path)).await?.0, 401, "{path}");
    }
    assert_eq!(ask(nobody.get("/api/skills")).await?.1["code"], 401);
    world.app.stop().await
}

#[tokio::test]
async fn skills_that_tasks_call_for_together_draw_nearer() -> Result<()> {
    let world = World::with(&[("ANNALS_SKILL_LEARNING", "true")]).await?;
    let ann = world.creator("ann").await?;
    let task = json!({"task": "trim this video with ffmpeg and win back a fan", "limit": 5});
    let mut called = Vec::new();
    for _ in 0..2 {
        let answer = good(ann.post("/api/skills/activate").json(&task)).await?;
        let names = answer["data"].as_array().into_iter().flatten();
        called = names.filter_map(|skill| skill["name"].as_str().map(str::to_owned)).collect();
    }
    assert_eq!(world.count("SkillsActivated").await?, 1, "the same pairs teach nothing new");
    called.sort_unstable();
    let [first, .., last] = &called[..] else { panic!("{called:?}") };
    let app = &world.app.app;
    let weight = || app.skill_book.current().graph.weight(first, last);
    let before = weight();
    for _ in 0..2 {
        let tomorrow = chrono::Utc::now().date_naive() + chrono::Days::new(1);
        app.skill_book.learn(&app.skill_learning, tomorrow).await?;
    }
    assert!((weight() - (before + 0.05 * (1.0 - before))).abs() < 1e-9, "{before}, {}", weight());
    let authored = app.skill_book.current().graph.weight("create-teaser-clip", "trim-video");
    assert!(authored >= 0.9);
    world.app.stop().await
}
