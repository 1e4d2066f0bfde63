//! A better system prompt.

use super::{Writer, template::Language, writer::text};
use chrono::Local;
use serde_json::{Map, Value, json};

/// Parts of the analysis.
const ANALYSIS: [&str; 8] = [
    "role_info",
    "skills_info",
    "preferences_info",
    "tool_info",
    "output_requirements",
    "constraints_info",
    "terminology_info",
    "language_issues",
];
/// Sections of a prompt: key, depth of the heading, Chinese and English heading.
const SECTIONS: [(&str, usize, &str, &str); 7] = [
    ("role", 1, "角色", "Role"),
    ("skills", 1, "技能", "Skills"),
    ("tool_guidance", 2, "工具使用指导", "Use of tools"),
    ("content_preference", 2, "结果内容偏好", "Content of results"),
    ("format_preference", 2, "结果形式偏好", "Form of results"),
    ("terminology", 2, "特殊名词定义", "Terms"),
    ("constraints", 1, "限制", "Limits"),
];

/// A prompt, what was found on the way, and its sections.
struct Composed {
    prompt: String,
    analysis: Map<String, Value>,
    sections: Map<String, Value>,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The prompt as it is.
    pub original: String,
    /// What is to get better.
    pub goal: Option<String>,
    /// Language of the new prompt.
    pub language: Language,
}

/// The better prompt with what was found on the way; as clients of the Sage dialect show it. What fails is told inside
/// (`success: false`), as upstream does.
pub async fn optimize(writer: &Writer, wish: &Wish) -> Map<String, Value> {
    let written = match writer.is_offline() {
        true => Ok(Some(templated(wish))),
        false => writer.object(task(wish.language), &about(wish)).await,
    };
    let outcome = match written.map(|written| written.and_then(|w| composed(&w, wish.language))) {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) => Err(wish
            .language
            .pick(
                "模型的回答不是所要求的 JSON",
                "the model's answer is not the JSON that was asked for",
            )
            .to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let details = |optimized: &str| {
        json!({
            "original_length": wish.original.chars().count(),
            "optimized_length": optimized.chars().count(),
            "optimization_goal": wish.goal,
        })
    };
    let timestamp = Local::now().format("%Y-%m-%d %H:%M:%S").to_string();
    let answer = match outcome {
        Ok(Composed { prompt, analysis, sections }) => json!({
            "success": true,
            "optimized_prompt": prompt,
            "analysis": analysis,
            "sections": sections,
            "timestamp": timestamp,
            "optimization_details": details(&prompt),
        }),
        Err(error) => json!({
            "success": false,
            "message": format!("{}: {error}", wish.language.pick("系统提示词优化失败", "Not optimized")),
            "error": error,
            "timestamp": timestamp,
            "optimization_details": details(""),
        }),
    };
    match answer {
        Value::Object(answer) => answer,
        _ => Map::new(),
    }
}

fn task(language: Language) -> &'static str {
    language.pick(
        "你改进系统提示词。只输出一个 JSON 对象，不要任何其他文字，两个键：\
         analysis（对象，字符串值：role_info, skills_info, preferences_info, tool_info, output_requirements, \
         constraints_info, terminology_info, language_issues）；\
         sections（对象，Markdown 字符串值：role, skills, tool_guidance, content_preference, format_preference, \
         terminology, constraints）。保留原提示词的全部要求，没有内容的部分写空字符串。使用中文。",
        "You improve system prompts. Answer with one JSON object and nothing else, with two keys: analysis (an object of \
         strings: role_info, skills_info, preferences_info, tool_info, output_requirements, constraints_info, \
         terminology_info, language_issues); sections (an object of Markdown strings: role, skills, tool_guidance, \
         content_preference, format_preference, terminology, constraints). Keep every demand of the original prompt; \
         leave parts without content empty. Write in English.",
    )
}

fn about(wish: &Wish) -> String {
    let (prompt, goal) = wish
        .language
        .pick("原提示词\n优化目标", "Prompt\nGoal")
        .split_once('\n')
        .unwrap_or_default();
    match &wish.goal {
        Some(wanted) => format!("{prompt}:\n{}\n\n{goal}: {wanted}", wish.original),
        None => format!("{prompt}:\n{}", wish.original),
    }
}

/// `None` when there is no section with text.
fn composed(written: &Map<String, Value>, language: Language) -> Option<Composed> {
    let nothing = Map::new();
    let part = |key: &str| written.get(key).and_then(Value::as_object).unwrap_or(&nothing);
    let (analysed, sectioned) = (part("analysis"), part("sections"));
    let kept = |part: &Map<String, Value>, key: &str| {
        (key.to_owned(), Value::String(text(part, &[key]).unwrap_or_default()))
    };
    let analysis = ANALYSIS.iter().map(|key| kept(analysed, key)).collect();
    let sections: Map<String, Value> =
        SECTIONS.iter().map(|(key, ..)| kept(sectioned, key)).collect();
    let mut prompt = String::new();
    let mut inside = false;
    for (key, depth, zh, en) in SECTIONS {
        let Some(body) = text(&sections, &[key]) else { continue };
        if depth == 2 && !inside {
            prompt +=
                &format!("# {}\n\n", language.pick("偏好或者指导", "Preferences and guidance"));
        }
        inside = depth == 2;
        prompt += &format!("{} {}\n{body}\n\n", "#".repeat(depth), language.pick(zh, en));
    }
    let prompt = prompt.trim_end().to_owned();
    (!prompt.is_empty()).then_some(Composed { prompt, analysis, sections })
}

/// What a template makes of a prompt, and says that it was none but a template.
fn templated(wish: &Wish) -> Map<String, Value> {
    let pick = |zh, en| wish.language.pick(zh, en);
    let answer = json!({
        "analysis": {
            "language_issues": pick(
                "没有可用的模型，以下内容由离线模板整理，未作语言分析。",
                "No model is configured: this was arranged by a template, and the language was not looked at.",
            ),
        },
        "sections": {
            "role": wish.original.trim(),
            "skills": pick("- 先弄清目标，再逐步完成并检查结果。", "- Find out the goal, then work step by step and check the results."),
            "tool_guidance": pick("- 需要事实时使用工具，失败时说明原因。", "- Use tools for facts; say why when one fails."),
            "content_preference": wish.goal.as_deref().unwrap_or(pick("- 先给结论，再给理由。", "- The conclusion first, then the reasons.")),
            "format_preference": pick("- 条理清楚，使用 Markdown。", "- Orderly, in Markdown."),
            "constraints": pick("- 不知道就说不知道，不编造。", "- Say so when you do not know; make nothing up."),
        },
    });
    match answer {
        Value::Object(answer) => answer,
        _ => Map::new(),
    }
}
