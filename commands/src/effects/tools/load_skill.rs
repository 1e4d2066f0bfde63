//! The tool with which a model loads a skill: its instructions, and its files, which are laid into the workspace below
//! `skills/`. Bytes are in the store already, so laying out is only facts.

use super::{
    Call, Outcome, Place, Tool, Tools, ToolsUnavailable,
    builtin::{metadata, told, tool, workspace},
};
use crate::{
    effects::blobs::Blob,
    skills::Skills,
    workspaces::{Error, Workspaces},
};
use domain::{
    ids::SkillId,
    skill::{Content, Folder, MAIN, MOST_FILES, SkillFile},
    workspace_file::{Basis, FilePath},
};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use std::{collections::HashMap, fmt::Write, sync::Arc};

/// The tool's name.
pub const NAME: &str = "load_skill";
/// Bytes of a file that is shown.
const SHOWN: u64 = 256 << 10;
/// Files that are laid out at once.
const AT_ONCE: usize = 8;
/// Characters of a description in the list of skills.
const SUMMARY: usize = 500;

/// Which skills there are for whom.
pub trait Shelf: Send + Sync {
    /// Of the skills attached to this place, those that exist for it, one per name. The owner of the agent decides whose
    /// skills count.
    fn attached<'a>(
        &'a self,
        place: &'a Place,
    ) -> BoxFuture<'a, Result<Vec<Attached>, ToolsUnavailable>>;
}

/// A skill that may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Which.
    pub id: SkillId,
    /// As its front matter has it.
    pub name: String,
    /// As its front matter has it.
    pub description: String,
}

/// See the module.
pub struct LoadSkill {
    skills: Skills,
    shelf: Arc<dyn Shelf>,
    workspaces: Workspaces,
}

impl LoadSkill {
    /// A tool that loads from this shelf into these workspaces.
    pub fn new(skills: Skills, shelf: Arc<dyn Shelf>, workspaces: Workspaces) -> Self {
        Self { skills, shelf, workspaces }
    }

    async fn load(&self, place: &Place, call: &Call) -> Outcome {
        let Some(wanted) = text(call, "skill_name") else {
            return Outcome::error("skill_name is missing");
        };
        let attached = match self.shelf.attached(place).await {
            Ok(attached) => attached,
            Err(unavailable) => return Outcome::error(unavailable.to_string()),
        };
        let folder = Folder::of(wanted);
        let found = attached.iter().find(|skill| Folder::of(&skill.name) == folder);
        let Some(skill) = found.filter(|_| folder.is_some()) else {
            let names: Vec<_> = attached.iter().map(|skill| skill.name.as_str()).collect();
            return Outcome::error(format!("no such skill; there are: {}", names.join(", ")));
        };
        match self.skills.find(skill.id).await {
            Ok(Some(content)) => match text(call, "file").filter(|path| *path != MAIN) {
                Some(path) => self.show(&content, path).await,
                None => self.introduce(place, call, &content).await,
            },
            Ok(None) => Outcome::error("the skill has just been deleted"),
            Err(failure) => {
                tracing::warn!(%failure, "a skill could not be loaded");
                Outcome::error("the skill cannot be read at the moment")
            }
        }
    }

    /// The instructions, and what else there is and where.
    async fn introduce(&self, place: &Place, call: &Call, content: &Content) -> Outcome {
        let mut whole = match self.read(content, MAIN).await {
            Ok(text) => text,
            Err(why) => return Outcome::error(why),
        };
        if content.files.len() > 1 {
            // Writing to a string does not fail.
            let _ = match self.lay_out(place, call, content).await {
                Ok(folder) => {
                    write!(whole, "\n\n[Files of this skill, in the workspace below {folder}/]")
                }
                Err(why) => write!(
                    whole,
                    "\n\n[Files of this skill, to be read with the argument \"file\"; they are not in the workspace: {why}]"
                ),
            };
        }
        for file in content.files.iter().filter(|file| file.path != MAIN) {
            let _ = write!(whole, "\n- {} ({} bytes)", file.path, file.size);
        }
        Outcome::success(whole)
    }

    /// Makes the skill's files files of the workspace; what lies there already is not written again. The folder, or why
    /// they are not there.
    async fn lay_out(
        &self,
        place: &Place,
        call: &Call,
        content: &Content,
    ) -> Result<FilePath, String> {
        let named = Folder::of(&content.name).ok_or("the skill has no folder")?;
        let folder = FilePath::parse(&format!("skills/{named}")).map_err(|bad| bad.to_string())?;
        let workspace = workspace(place);
        let there = self.workspaces.list(&workspace, Some(&folder), 2 * MOST_FILES).await;
        let there: HashMap<_, _> =
            there.map_err(told)?.into_iter().map(|file| (file.path, file.content.blob)).collect();
        let mut wanted = Vec::new();
        for SkillFile { path, blob, size, .. } in &content.files {
            let path =
                FilePath::parse(&format!("{folder}/{path}")).map_err(|bad| bad.to_string())?;
            if there.get(&path) != Some(blob) {
                wanted.push((path, Blob { hash: blob.clone(), size: *size }));
            }
        }
        let metadata = metadata(place, call);
        let written = wanted.into_iter().map(|(path, blob)| {
            let (workspace, metadata) = (&workspace, &metadata);
            async move {
                self.workspaces.record(workspace, &path, blob, Basis::Anything, metadata).await?;
                Ok::<_, Error>(())
            }
        });
        let written: Vec<_> = written.collect();
        stream::iter(written).buffer_unordered(AT_ONCE).try_collect::<()>().await.map_err(told)?;
        Ok(folder)
    }

    async fn show(&self, content: &Content, path: &str) -> Outcome {
        match self.read(content, path).await {
            Ok(text) => Outcome::success(text),
            Err(why) => Outcome::error(why),
        }
    }

    async fn read(&self, content: &Content, path: &str) -> Result<String, String> {
        let found = content.files.iter().find(|file| file.path == path);
        let file = found.ok_or_else(|| format!("the skill has no file {path:?}"))?;
        if file.size > SHOWN && path != MAIN {
            return Err(format!("{path:?} is larger than {SHOWN} bytes"));
        }
        let bytes = self.skills.read(file).await.map_err(|error| {
            tracing::warn!(%error, "a file of a skill could not be read");
            "the file cannot be read at the moment".to_owned()
        })?;
        let text = String::from_utf8(bytes.into());
        text.map_err(|_| format!("{path:?} is not text in UTF-8"))
    }
}

impl Tools for LoadSkill {
    fn list<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Vec<Tool>, ToolsUnavailable>> {
        Box::pin(async move {
            if place.skills.is_empty() {
                return Ok(vec![]);
            }
            match self.shelf.attached(place).await {
                Ok(attached) if attached.is_empty() => Ok(vec![]),
                Ok(attached) => Ok(vec![described(&attached)]),
                Err(unavailable) => {
                    tracing::warn!(%unavailable, "a run goes on without its skills");
                    Ok(vec![])
                }
            }
        })
    }

    fn call<'a>(&'a self, place: &'a Place, call: &'a Call) -> BoxFuture<'a, Option<Outcome>> {
        Box::pin(async move {
            if call.name != NAME || place.skills.is_empty() {
                return None;
            }
            Some(self.load(place, call).await)
        })
    }
}

fn text<'a>(call: &'a Call, argument: &str) -> Option<&'a str> {
    let given = call.arguments.get(argument).and_then(Value::as_str);
    given.map(str::trim).filter(|text| !text.is_empty())
}

fn described(attached: &[Attached]) -> Tool {
    let mut description =
        "Loads a skill: instructions for a kind of task, with files. Load a skill before you begin a \
         task that it is for. Skills:"
            .to_owned();
    for skill in attached {
        let summary: String = skill.description.chars().take(SUMMARY).collect();
        let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
        // Writing to a string does not fail.
        let _ = write!(description, "\n- {}: {summary}", skill.name);
    }
    let names: Vec<_> = attached.iter().map(|skill| skill.name.as_str()).collect();
    let properties = json!({
        "skill_name": {"type": "string", "enum": names, "description": "The skill's name."},
        "file": {
            "type": "string",
            "description": "A file of the skill to read in place of its instructions."
        },
    });
    tool(NAME, &description, properties, &["skill_name"])
}
