//! Which tools a run's model is offered.

use super::Unavailable;
use crate::effects::tools::{Place, Tool, Tools, ToolsUnavailable};
use domain::run::Settings;
use std::{collections::HashSet, time::Duration};

/// How long the tools' places may take to say what they have.
const PATIENCE: Duration = Duration::from_secs(20);
/// Tools that attached knowledge bases bring.
const OF_BASES: [&str; 2] = ["retrieve_knowledge_base", "retrieve_on_zavixai_db"];
/// Tools that attached skills bring, as far as they are there.
const OF_SKILLS: [&str; 8] = [
    "load_skill",
    "file_read",
    "file_write",
    "file_update",
    "list_dir",
    "grep",
    "glob",
    "execute_shell_command",
];

/// The tools that are named or brought by attachments, as far as they exist, and all that the run has for itself.
pub(super) async fn offered(
    toolbox: &dyn Tools,
    own: Option<&dyn Tools>,
    place: &Place,
    settings: &Settings,
) -> Result<Vec<Tool>, Unavailable> {
    let wanted = wanted(place, settings);
    if wanted.is_empty() && own.is_none() {
        return Ok(vec![]);
    }
    let listing = async {
        let own = match own {
            Some(own) => own.list(place).await?,
            None => vec![],
        };
        Ok::<_, ToolsUnavailable>((own, toolbox.list(place).await?))
    };
    let (own, mut tools) = match tokio::time::timeout(PATIENCE, listing).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a run cannot get its tools");
            return Err(Unavailable("the tools are not available".into()));
        }
        Err(_) => return Err(Unavailable("the tools do not answer".into())),
    };
    tools.retain(|tool| wanted.contains(tool.name.as_str()) || own.contains(tool));
    Ok(tools)
}

fn wanted<'a>(place: &Place, settings: &'a Settings) -> HashSet<&'a str> {
    let mut wanted: HashSet<&str> = settings.tools.iter().map(String::as_str).collect();
    if !place.knowledge_bases.is_empty() {
        wanted.extend(OF_BASES);
    }
    if !place.skills.is_empty() {
        wanted.extend(OF_SKILLS);
    }
    wanted
}
