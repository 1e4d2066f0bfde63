//! What failed imports and edits are called in this dialect.

use crate::{
    core::{Error, upload},
    sage::{Fault, Text, outbound, text},
};
use commands::{
    effects::{front_matter::NoFrontMatter, skill_archive::Unpackable},
    execute,
    skills::Error as Failed,
};
use domain::skill::{Flaw, Refusal};

/// An upload or an edit that came to nothing: 400 when it is the caller's mistake.
pub(super) fn failed(error: Failed) -> Fault {
    match reason(error) {
        Ok(message) => Fault::Raised(400, message),
        Err(fault) => fault,
    }
}

/// An import from a URL that came to nothing.
pub(super) fn not_imported(error: Failed) -> Fault {
    match reason(error) {
        Ok(why) => Fault::Raised(400, why.prefixed("导入失败: ", "Import failed: ")),
        Err(fault) => fault,
    }
}

/// A decision that went against the caller.
pub(super) fn refused(error: execute::Error<Refusal>) -> Fault {
    failed(error.into())
}

/// A form that was not taken.
pub(super) fn no_form(refused: upload::Refused) -> Fault {
    match refused {
        upload::Refused::TooLarge { name, limit } => {
            let megabytes = limit >> 20;
            Fault::Raised(
                400,
                text(
                    format!("文件 {name} 超过大小限制（{megabytes} MB）"),
                    format!("File {name} is larger than {megabytes} MB"),
                ),
            )
        }
        upload::Refused::TooMany(_) => Fault::Raised(
            400,
            text("一次只能上传一个文件", "Only one file can be uploaded at once"),
        ),
        upload::Refused::Other(error) => error.into(),
    }
}

/// The caller's mistake in words; failures of the machine are none.
fn reason(error: Failed) -> Result<Text, Fault> {
    Ok(match error {
        Failed::Unpackable(error) => unpackable(&error),
        Failed::Front(error) => front(&error),
        Failed::Refused(refusal) => refusal_text(refusal),
        Failed::Fetch(error) => outbound::unfetched(&error),
        Failed::TooLarge => with_reason("SKILL.md 过大", &Failed::TooLarge.to_string()),
        Failed::Status(status) => outbound::answered(status),
        Failed::Busy => return Err(Error::Unavailable(Failed::Busy.to_string()).into()),
        Failed::Blobs(error) => return Err(Error::Unavailable(error.to_string()).into()),
        Failed::Failed(failure) => return Err(failure.into()),
    })
}

fn refusal_text(refusal: Refusal) -> Text {
    match refusal {
        // Upstream says this in English whatever the language.
        Refusal::Renamed { .. } => text(refusal.to_string(), refusal.to_string()),
        Refusal::Unknown => text("技能不存在", "Skill not found"),
        Refusal::Flawed(flaw) => flawed(&flaw),
    }
}

fn unpackable(error: &Unpackable) -> Text {
    match error {
        Unpackable::NotZip => text("无效的 ZIP 文件", "Invalid ZIP file"),
        Unpackable::NoMain => text(
            "未找到有效的技能结构 (缺少 SKILL.md)",
            "No valid skill structure found (SKILL.md is missing)",
        ),
        Unpackable::Front(error) => front(error),
        Unpackable::Unsafe(flaw) => flawed(flaw),
        Unpackable::NotText => with_reason("SKILL.md 不是 UTF-8 文本", &error.to_string()),
        Unpackable::Name => with_reason("ZIP 文件包含非 UTF-8 文件名", &error.to_string()),
        Unpackable::Special(name) => {
            with_reason(format!("ZIP 文件包含链接或特殊文件: {name}"), &error.to_string())
        }
        Unpackable::Encrypted(name) => {
            with_reason(format!("ZIP 文件已加密: {name}"), &error.to_string())
        }
        Unpackable::Damaged(name) => {
            with_reason(format!("ZIP 文件已损坏: {name}"), &error.to_string())
        }
        Unpackable::TooManyEntries => with_reason("ZIP 文件包含过多条目", &error.to_string()),
        Unpackable::TooLarge => with_reason("ZIP 文件解压后过大", &error.to_string()),
        Unpackable::MainTooLarge => with_reason("SKILL.md 过大", &error.to_string()),
    }
}

fn flawed(flaw: &Flaw) -> Text {
    let zh = match flaw {
        Flaw::Name => "技能名称无效".to_owned(),
        Flaw::Description => "技能描述无效".to_owned(),
        Flaw::NoMain => "缺少 SKILL.md".to_owned(),
        Flaw::TooManyFiles => "技能包含过多文件".to_owned(),
        Flaw::Path(path) => format!("不安全的文件路径: {path}"),
        Flaw::Twice(path) => format!("重复的文件路径: {path}"),
    };
    with_reason(zh, &flaw.to_string())
}

fn front(error: &NoFrontMatter) -> Text {
    let zh = match error {
        NoFrontMatter::Missing => "SKILL.md 必须以 '---' 包围的 YAML front matter 开头".to_owned(),
        NoFrontMatter::TooLarge => "SKILL.md 的 front matter 过大".to_owned(),
        NoFrontMatter::Unreadable(why) => format!("SKILL.md 的 front matter 无效: {why}"),
    };
    with_reason(zh, &error.to_string())
}

fn with_reason(zh: impl Into<std::borrow::Cow<'static, str>>, en: &str) -> Text {
    text(zh, en.to_owned())
}
