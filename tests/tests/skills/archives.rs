//! Archives that hold no skill are refused with a reason and leave nothing.

use super::hall::{Hall, answer, data, failed, listed, put, skill, text, upload, zip};
use anyhow::Result;

#[tokio::test]
async fn what_is_no_skill_is_refused_and_leaves_nothing() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    let text = text("a", "b");
    let main = ("SKILL.md", text.as_bytes());
    let good = skill("a", "b")?;
    let zeros = vec![0; 8 << 20];
    for (file, archive, message) in [
        ("skill.ZIP", good.clone(), "仅支持 ZIP 文件"),
        ("skill.tar.gz", good.clone(), "仅支持 ZIP 文件"),
        ("skill.zip", b"PK is not enough".to_vec(), "无效的 ZIP 文件"),
        ("skill.zip", good[..good.len() / 2].to_vec(), "无效的 ZIP 文件"),
        ("skill.zip", Vec::new(), "无效的 ZIP 文件"),
        ("skill.zip", zip(&[("a/b/SKILL.md", b"deep")])?, "未找到有效的技能结构 (缺少 SKILL.md)"),
        (
            "skill.zip",
            zip(&[main, ("../../etc/cron.d/x", b"x")])?,
            "不安全的文件路径: ../../etc/cron.d/x",
        ),
        ("skill.zip", zip(&[main, ("/etc/x", b"x")])?, "不安全的文件路径: /etc/x"),
        ("skill.zip", zip(&[main, ("zeros", &zeros)])?, "ZIP 文件解压后过大"),
        (
            "skill.zip",
            zip(&[("SKILL.md", b"# no")])?,
            "SKILL.md 必须以 '---' 包围的 YAML front matter 开头",
        ),
    ] {
        failed(&answer(upload(ann, file, &archive, &[])).await?, 400, message);
    }
    for (name, description) in [("'---'", "b"), ("'//'", "b"), ("a", "' '")] {
        let (status, body) = answer(upload(ann, "a.zip", &skill(name, description)?, &[])).await?;
        assert_eq!(status, 400, "{name}: {body}");
    }
    assert_eq!(hall.written().await?, 0);
    assert_eq!(listed(ann, "").await?, []);
    hall.close().await
}

#[tokio::test]
async fn a_form_without_an_archive_is_no_import() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    let plain = ann.post("/api/skills/upload").json(&serde_json::json!({}));
    let (status, body) = answer(plain).await?;
    assert!(matches!(status, 415 | 422), "{status} {body}");
    let odd = upload(ann, "a.zip", &skill("a", "b")?, &[("is_system", "perhaps")]);
    let (status, body) = answer(odd).await?;
    assert_eq!((status, &body["detail"][0]["type"]), (422, &"bool_parsing".into()), "{body}");
    let empty = ann.post("/api/skills/upload").body("--line--\r\n");
    let empty = empty.header("content-type", "multipart/form-data; boundary=line");
    let (status, body) = answer(empty).await?;
    assert_eq!((status, &body["detail"][0]["type"]), (422, &"missing".into()), "{body}");
    assert_eq!(hall.written().await?, 0);
    hall.close().await
}

#[tokio::test]
async fn names_in_any_script_and_nul_in_a_description_stop_nobody() -> Result<()> {
    let hall = Hall::open().await?;
    let ann = &hall.ann;
    put(ann, "市场 研究", "\"a\\0b\"", &[]).await?;
    let found = data(ann.get("/api/skills")).await?;
    assert_eq!(found["skills"][0]["name"], "市场 研究");
    assert_eq!(found["skills"][0]["description"], "a\u{fffd}b");
    let read = data(ann.get("/api/skills/content?name=市场 研究")).await?;
    assert!(read["content"].as_str().unwrap().starts_with("---\nname: 市场 研究\n"), "{read}");
    hall.close().await
}
