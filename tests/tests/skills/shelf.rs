//! Import, list, read, edit, delete; everybody their own, the system's for all.

use super::hall::{Hall, answer, data, delete, edit, failed, listed, of, put, skill, text, upload};
use annals_tests::{app::TestApp, database::Database};
use anyhow::Result;
use domain::{skill::Home, user::Role};
use serde_json::json;

#[tokio::test]
async fn a_skill_is_imported_shown_edited_replaced_and_deleted() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    let sent =
        upload(ann, "pdf.zip", &skill("PDF tools", "Reads PDFs")?, &[("is_system", "false")]);
    let (status, body) = answer(sent).await?;
    assert_eq!((status, &body["message"]), (200, &json!("技能 'PDF tools' 导入成功")), "{body}");
    assert_eq!(body["data"], json!({"user_id": ann.user}));

    let (_, body) = answer(ann.get("/api/skills")).await?;
    assert_eq!(body["message"], "获取技能列表成功");
    let item = json!({"name": "PDF tools", "description": "Reads PDFs", "user_id": ann.user,
        "dimension": "user", "owner_user_id": ann.user, "agent_id": null, "agent_name": null,
        "path": format!("users/{}/skills/PDF-tools", ann.user)});
    assert_eq!(body["data"], json!({"skills": [item]}));

    for name in ["PDF%20tools", "PDF-tools"] {
        let read = data(ann.get(&format!("/api/skills/content?name={name}"))).await?;
        assert_eq!(read, json!({"content": text("PDF tools", "Reads PDFs")}));
    }
    let new = text("PDF tools", "Reads more") + "## And more\r\n";
    let (status, body) = answer(edit(ann, &json!({"name": "PDF tools", "content": new}))).await?;
    assert_eq!((status, &body["message"]), (200, &json!("技能更新成功")), "{body}");
    assert_eq!(body["data"], json!({}));
    let read = data(ann.get("/api/skills/content?name=PDF-tools")).await?;
    assert_eq!(read["content"], new);
    let found = data(ann.get("/api/skills")).await?;
    assert_eq!(found["skills"][0]["description"], "Reads more");

    put(ann, "PDF tools", "Replaced", &[]).await?;
    let (status, body) = answer(delete(ann, "name=PDF-tools")).await?;
    assert_eq!((status, &body["message"]), (200, &json!("技能 'PDF-tools' 删除成功")), "{body}");
    assert_eq!(listed(ann, "").await?, []);
    data(delete(ann, "name=PDF-tools")).await?;
    data(delete(ann, "name=..%2F..%2Fetc")).await?;
    assert_eq!(
        hall.events(&of(ann), "PDF tools").await?,
        ["SkillImported", "SkillEdited", "SkillReplaced", "SkillDeleted"]
    );
    hall.close().await
}

#[tokio::test]
async fn an_edit_keeps_the_name_and_the_front_matter() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    put(ann, "a", "one", &[]).await?;
    let change = |content: &str| edit(ann, &json!({"name": "a", "content": content}));
    let renamed = answer(change(&text("b", "one"))).await?;
    failed(&renamed, 400, "Skill name cannot be changed. Expected 'a', got 'b'");
    for content in ["", "# a", "---\nname: a\n---\n", "---\nname: a\ndescription: b"] {
        let (status, body) = answer(change(content)).await?;
        assert_eq!((status, &body["code"]), (400, &json!(400)), "{content}: {body}");
    }
    let long = text("a", "one") + &"x".repeat(1 << 20);
    assert_eq!(answer(change(&long)).await?.0, 400);
    let unknown = edit(ann, &json!({"name": "zzz", "content": text("zzz", "one")}));
    failed(&answer(unknown).await?, 500, "Skill 'zzz' not found");
    failed(&answer(ann.get("/api/skills/content?name=zzz")).await?, 500, "Skill 'zzz' not found");
    assert_eq!(answer(edit(ann, &json!({"name": "a"}))).await?.0, 422);
    assert_eq!(answer(ann.get("/api/skills/content")).await?.0, 422);
    assert_eq!(answer(ann.get("/api/skills?dimension=mine")).await?.0, 422);
    assert_eq!(hall.events(&of(ann), "a").await?, ["SkillImported"]);
    hall.close().await
}

#[tokio::test]
async fn somebody_elses_skill_is_as_good_as_none() -> Result<()> {
    let hall = Hall::open().await?;
    put(&hall.ann, "mine", "Ann's", &[]).await?;
    let bob = &hall.bob;
    assert_eq!(listed(bob, "").await?, []);
    let missing = "Skill 'mine' not found";
    failed(&answer(bob.get("/api/skills/content?name=mine")).await?, 500, missing);
    let body = json!({"name": "mine", "content": text("mine", "stolen")});
    failed(&answer(edit(bob, &body)).await?, 500, missing);
    data(delete(bob, "name=mine")).await?;
    assert_eq!(listed(&hall.ann, "").await?, [("mine".to_owned(), "user".to_owned())]);
    assert_eq!(listed(&hall.root, "").await?, [("mine".to_owned(), "user".to_owned())]);
    assert_eq!(hall.written().await?, 1);
    let nobody = hall.node.nobody()?;
    for request in [
        nobody.get("/api/skills"),
        nobody.get("/api/skills/content?name=mine"),
        upload(&nobody, "a.zip", b"", &[]),
        delete(&nobody, "name=mine"),
    ] {
        failed(&answer(request).await?, 401, "未授权");
    }
    hall.close().await
}

#[tokio::test]
async fn system_skills_are_everybodys_to_use_and_administrators_to_change() -> Result<()> {
    let hall = Hall::open().await?;
    let (root, ann) = (&hall.root, &hall.ann);
    let archive = skill("shared", "For all")?;
    let refused = answer(upload(ann, "a.zip", &archive, &[("is_system", "true")])).await?;
    failed(&refused, 500, "权限不足：只有管理员可以导入系统技能");
    let english =
        upload(ann, "a.zip", &archive, &[("is_system", "1")]).header("accept-language", "en");
    let english = answer(english).await?.1;
    assert_eq!(
        english["message"],
        "Permission denied: only administrators can import system skills"
    );
    let body = json!({"url": "https://example.org/a.zip", "is_system": true});
    let refused = answer(ann.post("/api/skills/import-url").json(&body)).await?;
    failed(&refused, 500, "权限不足：只有管理员可以导入系统技能");
    assert_eq!(hall.written().await?, 0);

    put(root, "shared", "For all", &[("is_system", "True")]).await?;
    let found = data(ann.get("/api/skills")).await?;
    let item = json!({"name": "shared", "description": "For all", "user_id": "",
        "dimension": "system", "owner_user_id": null, "agent_id": null, "agent_name": null,
        "path": "skills/shared"});
    assert_eq!(found, json!({"skills": [item]}));
    assert!(data(ann.get("/api/skills/content?name=shared")).await?["content"].is_string());
    failed(&answer(delete(ann, "name=shared")).await?, 500, "无权删除系统技能");
    let body = json!({"name": "shared", "content": text("shared", "taken over")});
    failed(&answer(edit(ann, &body)).await?, 500, "无权修改系统技能");

    put(ann, "shared", "Ann's own", &[]).await?;
    let both =
        [("shared", "system"), ("shared", "user")].map(|(n, d)| (n.to_owned(), d.to_owned()));
    assert_eq!(listed(ann, "?dimension=all").await?, both);
    assert_eq!(listed(ann, "?dimension=user").await?, both[1..]);
    assert_eq!(listed(&hall.bob, "").await?, both[..1]);
    let own = data(ann.get("/api/skills/content?name=shared")).await?;
    assert_eq!(own["content"], text("shared", "Ann's own"));
    data(delete(ann, "name=shared")).await?;
    failed(&answer(delete(ann, "name=shared")).await?, 500, "无权删除系统技能");
    data(delete(root, "name=shared")).await?;
    assert_eq!(hall.events(&Home::System, "shared").await?, ["SkillImported", "SkillDeleted"]);
    assert_eq!(listed(ann, "").await?, []);
    hall.close().await
}

#[tokio::test]
async fn a_skill_outlives_the_server() -> Result<()> {
    let database = Database::create().await?;
    let blobs = std::env::temp_dir().join(format!("annals-skills-{}", uuid::Uuid::new_v4()));
    let address = format!("file://{}", blobs.display());
    let settings = [("ANNALS_BLOBS", address.as_str())];
    let first = TestApp::on(&database.url(), &settings).await?;
    let ann = first.user("ann", Role::Creator).await?;
    put(&ann, "kept", "Stays", &[]).await?;
    first.stop().await?;

    let second = TestApp::on(&database.url(), &settings).await?;
    let ann = ann.at(&second);
    assert_eq!(listed(&ann, "").await?, [("kept".to_owned(), "user".to_owned())]);
    let read = data(ann.get("/api/skills/content?name=kept")).await?;
    assert_eq!(read["content"], text("kept", "Stays"));
    second.stop().await?;
    std::fs::remove_dir_all(blobs)?;
    database.remove().await
}
