//! Skills that come in: as an archive, or from a URL.

use super::{home_of, own_agent, words};
use crate::{
    app::App,
    core::{
        Caller, Error, Json, Problem,
        upload::{self, File, Form, Incoming, Part, Rules},
    },
    sage::{
        Fault, Reply, Result,
        envelope::{Failed, Replied},
        text,
    },
};
use axum::extract::State;
use commands::effects::skill_archive::ARCHIVE;
use domain::{
    ids::UserId,
    skill::{Home, Origin},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// One archive at a time.
const RULES: Rules = Rules { file_bytes: ARCHIVE, files: 1 };

/// A skill to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SkillFetch)]
pub(super) struct UrlBody {
    /// Of a ZIP file or a `SKILL.md`; public, with `http` or `https`.
    url: String,
    /// Whether it is for everybody; for administrators.
    #[serde(default)]
    is_system: Option<bool>,
    /// Whether it is for an agent.
    #[serde(default)]
    is_agent: Option<bool>,
    /// Which one.
    #[serde(default)]
    agent_id: Option<String>,
}

/// A skill in an archive.
#[derive(ToSchema)]
#[schema(as = SkillUpload)]
#[expect(dead_code, reason = "it is read part by part")]
struct Upload {
    /// A ZIP file with a `SKILL.md`, called `….zip`.
    #[schema(value_type = String, format = Binary)]
    file: (),
    /// Whether it is for everybody; for administrators.
    is_system: Option<bool>,
    /// Whether it is for an agent.
    is_agent: Option<bool>,
    /// Which one.
    agent_id: Option<String>,
}

/// A skill came in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SkillImported)]
pub(super) struct Imported {
    /// Who took it in.
    #[schema(value_type = String)]
    user_id: UserId,
}

/// Where a skill is wanted.
#[derive(Debug, Default)]
struct Wish {
    system: bool,
    agent: bool,
    agent_id: String,
}

/// Takes in a skill from an archive, in place of one of that name.
#[utoipa::path(
    post,
    path = "/api/skills/upload",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "It is there.", body = Replied<Imported>),
        (status = 400, description = "That is no skill.", body = Failed),
    ),
)]
pub(super) async fn upload(
    State(app): State<App>,
    caller: Caller,
    incoming: Incoming,
) -> Result<Imported> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    match receive(&mut form).await {
        Ok((wish, file)) => {
            let home = home(&app, &caller, wish).await?;
            // The contract has it in lower case only.
            if !file.name.ends_with(".zip") {
                return Err(Fault::Raised(
                    400,
                    text("仅支持 ZIP 文件", "Only ZIP files are supported"),
                ));
            }
            let origin = Origin::Upload { name: file.name, archive: file.blob.hash };
            take_in(&app, &caller, origin, home).await.map_err(words::failed)
        }
        Err(fault) => {
            form.discard().await;
            Err(fault)
        }
    }
}

/// Fetches a skill from a URL, in place of one of that name.
#[utoipa::path(
    post,
    path = "/api/skills/import-url",
    request_body = UrlBody,
    responses(
        (status = 200, description = "It is there.", body = Replied<Imported>),
        (status = 400, description = "That is no skill.", body = Failed),
    ),
)]
pub(super) async fn import_url(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<UrlBody>,
) -> Result<Imported> {
    let wish = Wish {
        system: body.is_system.unwrap_or_default(),
        agent: body.is_agent.unwrap_or_default(),
        agent_id: body.agent_id.unwrap_or_default(),
    };
    let home = home(&app, &caller, wish).await?;
    let origin = app.skills.fetch(body.url.trim()).await.map_err(words::not_imported)?;
    take_in(&app, &caller, origin, home).await.map_err(words::not_imported)
}

async fn take_in(
    app: &App,
    caller: &Caller,
    origin: Origin,
    home: Home,
) -> std::result::Result<Reply<Imported>, commands::skills::Error> {
    let imported = app.skills.import(origin, home, &caller.metadata()).await?;
    app.caught_up("skills", imported.position).await;
    let name = imported.name;
    let message = text(format!("技能 '{name}' 导入成功"), format!("Skill '{name}' imported"));
    Ok(Reply(message, Imported { user_id: caller.user.clone() }))
}

/// The home that is wished for, if the caller may change it.
async fn home(app: &App, caller: &Caller, wish: Wish) -> std::result::Result<Home, Fault> {
    match wish {
        Wish { system: true, .. } if caller.admin => Ok(Home::System),
        Wish { system: true, .. } => Err(Fault::raised(text(
            "权限不足：只有管理员可以导入系统技能",
            "Permission denied: only administrators can import system skills",
        ))),
        Wish { agent: true, agent_id, .. } if !agent_id.is_empty() => {
            Ok(home_of(&own_agent(app, caller, &agent_id).await?))
        }
        Wish { .. } => Ok(Home::User { owner: caller.user.clone() }),
    }
}

async fn receive(form: &mut Form<'_>) -> std::result::Result<(Wish, File), Fault> {
    let (mut wish, mut found) = (Wish::default(), None);
    while let Some(part) = form.next().await.map_err(words::no_form)? {
        match part {
            Part::Text { name, value } if name == "is_system" => wish.system = flag(&name, &value)?,
            Part::Text { name, value } if name == "is_agent" => wish.agent = flag(&name, &value)?,
            Part::Text { name, value } if name == "agent_id" => wish.agent_id = value,
            Part::File { field, file } if field == "file" => found = Some(file),
            Part::Text { .. } | Part::File { .. } => {}
        }
    }
    Ok((wish, found.ok_or_else(|| upload::missing("file"))?))
}

/// The spellings of truth that upstream's forms take.
fn flag(name: &str, value: &str) -> std::result::Result<bool, Error> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "t" | "y" | "yes" => Ok(true),
        "" | "false" | "0" | "off" | "f" | "n" | "no" => Ok(false),
        _ => Err(Error::Invalid(vec![Problem {
            kind: "bool_parsing",
            loc: vec![json!("body"), json!(name)],
            msg: "Input should be a valid boolean, unable to interpret input".to_owned(),
            input: json!(value),
        }])),
    }
}
