//! Files that are uploaded into a knowledge base.

use super::{authority, load, not_found, reasons, success};
use crate::{
    app::App,
    core::{
        Caller,
        upload::{self, File, Form, Incoming, Part, Refused, Rules},
    },
    intake::{self, Delivery, NotTaken},
    sage::{
        Fault, Reply, Result,
        envelope::{Failed, Replied},
        text,
    },
};
use axum::extract::State;
use domain::{
    ids::{KnowledgeBaseId, UserId},
    intake::{MAX_FILES, Refusal, Twins},
    knowledge_base::{KnowledgeBase, QUESTIONS},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Per upload; a file of this size is still one that can be ingested.
const RULES: Rules = Rules { file_bytes: 100 << 20, files: MAX_FILES };
/// What tables of questions and answers may be called.
const TABLES: [&str; 3] = ["csv", "xlsx", "xls"];

/// Files for a knowledge base.
#[derive(ToSchema)]
#[schema(as = DocumentUpload)]
#[expect(dead_code, reason = "it is read part by part")]
struct Upload {
    /// The knowledge base; best before the files.
    kdb_id: String,
    /// Whether documents of the same names are replaced.
    r#override: Option<bool>,
    /// Each at most 100 MB. A `qa` knowledge base takes CSV and Excel only.
    #[schema(value_type = Vec<String>, format = Binary)]
    files: (),
}

/// Files that came in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentsTaken)]
pub(super) struct Taken {
    /// Leads to how far they are.
    #[serde(rename = "taskId")]
    task: String,
    /// Owner of the knowledge base.
    #[schema(value_type = String)]
    user_id: UserId,
}

/// A knowledge base that is there for the caller.
struct Shelf {
    id: KnowledgeBaseId,
    owner: UserId,
    questions: bool,
}

/// Takes in files as documents of a knowledge base.
#[utoipa::path(
    post,
    path = "/api/knowledge-base/doc/add_by_files",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "They will be read.", body = Replied<Taken>),
        (status = 400, description = "There are too many files, or one has no proper name.", body = Failed),
        (status = 409, description = "The knowledge base has the same file already.", body = Failed),
        (status = 413, description = "A file is too large.", body = Failed),
    ),
)]
pub(super) async fn add_by_files(
    State(app): State<App>,
    caller: Caller,
    incoming: Incoming,
) -> Result<Taken> {
    let mut form = incoming.open(&app.library.blobs, RULES);
    let (shelf, files, replace) = match receive(&app, &caller, &mut form).await {
        Ok(received) => received,
        Err(fault) => {
            form.discard().await;
            return Err(fault);
        }
    };
    if shelf.questions {
        intake::check_questions(&app, &files).await.map_err(refused_file)?;
    }
    let owner = shelf.owner.clone();
    let files = files.into_iter().map(intake::file).collect();
    let twins = if replace { Twins::Replace } else { Twins::Refuse };
    let delivery = Delivery { knowledge_base: shelf.id, owner: shelf.owner, files, twins };
    let task = intake::accept(&app, delivery, &caller.metadata()).await.map_err(refused_file)?;
    Ok(Reply(success(), Taken { task, user_id: owner }))
}

/// The whole form, before the first fact is recorded: a form that breaks off leaves no document.
async fn receive(
    app: &App,
    caller: &Caller,
    form: &mut Form<'_>,
) -> std::result::Result<(Shelf, Vec<File>, bool), Fault> {
    let mut shelf = None;
    let mut files = Vec::new();
    let mut replace = false;
    while let Some(part) = form.next().await.map_err(refused)? {
        match part {
            // As soon as it is known: nobody fills the store for a knowledge base that is not theirs.
            Part::Text { name, value } if name == "kdb_id" => {
                shelf = Some(open(app, caller, KnowledgeBaseId(value)).await?);
            }
            Part::Text { name, value } if name == "override" => replace = is_true(&value),
            Part::File { field, file } if field == "files" => {
                // What could not be decoded was replaced.
                if file.name.contains(char::REPLACEMENT_CHARACTER) {
                    let message =
                        text("文件名不是有效的 UTF-8 文本", "The name of a file is not UTF-8");
                    return Err(Fault::Raised(400, message));
                }
                if let Some(shelf) = &shelf {
                    check_name(shelf, &file)?;
                }
                files.push(file);
            }
            Part::Text { .. } | Part::File { .. } => {}
        }
    }
    let Shelf { id, .. } = shelf.ok_or_else(|| upload::missing("kdb_id"))?;
    if files.is_empty() {
        return Err(upload::missing("files").into());
    }
    // The form may have taken minutes.
    let shelf = open(app, caller, id).await?;
    files.iter().try_for_each(|file| check_name(&shelf, file))?;
    Ok((shelf, files, replace))
}

async fn open(
    app: &App,
    caller: &Caller,
    id: KnowledgeBaseId,
) -> std::result::Result<Shelf, Fault> {
    let loaded = load(app, &id).await?;
    let owner = loaded.state().owner_for(&authority(caller)).map_err(|_| not_found())?.clone();
    let questions = match loaded.state() {
        KnowledgeBase::Open { kind, .. } => kind == QUESTIONS,
        KnowledgeBase::Unknown | KnowledgeBase::Deleted => false,
    };
    Ok(Shelf { id, owner, questions })
}

fn check_name(shelf: &Shelf, file: &File) -> std::result::Result<(), Fault> {
    let ending = file.name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !shelf.questions || TABLES.iter().any(|table| ending.eq_ignore_ascii_case(table)) {
        return Ok(());
    }
    let name = &file.name;
    Err(Fault::raised(text(
        format!("QA知识库仅支持CSV或Excel文件: {name}"),
        format!("A QA knowledge base takes CSV and Excel files only: {name}"),
    )))
}

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
}

fn refused(refused: Refused) -> Fault {
    match refused {
        Refused::TooLarge { name, limit } => {
            let megabytes = limit >> 20;
            let message = text(
                format!("文件 {name} 超过大小限制（{megabytes} MB）"),
                format!("File {name} is larger than {megabytes} MB"),
            );
            Fault::Raised(413, message)
        }
        Refused::TooMany(limit) => Fault::Raised(400, too_many(limit)),
        Refused::Other(error) => error.into(),
    }
}

fn too_many(limit: usize) -> crate::sage::Text {
    text(
        format!("一次最多上传 {limit} 个文件"),
        format!("At most {limit} files can be uploaded at once"),
    )
}

fn refused_file(refused: NotTaken) -> Fault {
    match refused {
        NotTaken::Refused(Refusal::Duplicate { name, other }) => Fault::Raised(
            409,
            text(
                format!("文件 {name} 与知识库中的 {other} 内容相同（重复文件）"),
                format!("File {name} is a duplicate: the same file as {other}"),
            ),
        ),
        NotTaken::Refused(Refusal::BadCount) => Fault::Raised(400, too_many(MAX_FILES)),
        NotTaken::Refused(refusal) => Fault::Raised(400, text("文件名不可用", refusal.to_string())),
        NotTaken::NoQuestions { name, reason } => Fault::raised(text(
            format!("文件格式错误 {name}: {}", reasons::chinese(&reason)),
            format!("Wrong file format {name}: {reason}"),
        )),
        NotTaken::Failed(error) => error.into(),
    }
}
