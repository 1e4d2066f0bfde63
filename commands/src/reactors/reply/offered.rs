//! Which tools a run's model is offered.

use super::Unavailable;
use crate::effects::tools::{Place, Tool, Toolbox, Tools};
use domain::run::Settings;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::timeout;

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

/// The tools that are named or brought by attachments, as far as they are installed, and all that the run has for itself;
/// with the place where they are called. A name belongs to what is installed. What the run has for itself is left out when
/// it does not answer.
pub(super) async fn offered(
    installed: Arc<dyn Tools>,
    own: Option<Arc<dyn Tools>>,
    place: &Place,
    settings: &Settings,
) -> Result<(Vec<Tool>, Arc<dyn Tools>), Unavailable> {
    let wanted = wanted(place, settings);
    if wanted.is_empty() && own.is_none() {
        return Ok((vec![], installed));
    }
    let (listed, own) = tokio::join!(timeout(PATIENCE, installed.list(place)), brought(own, place));
    let mut tools = match listed {
        Ok(Ok(tools)) => tools,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a run cannot get its tools");
            return Err(Unavailable("the tools are not available".into()));
        }
        Err(_) => return Err(Unavailable("the tools do not answer".into())),
    };
    let Some((mut more, own)) = own else {
        tools.retain(|tool| wanted.contains(tool.name.as_str()));
        return Ok((tools, installed));
    };
    more.retain(|tool| tools.iter().all(|other| other.name != tool.name));
    tools.retain(|tool| wanted.contains(tool.name.as_str()));
    tools.extend(more);
    Ok((tools, Arc::new(Toolbox::new(vec![installed, own]))))
}

/// What the run has for itself, and where that is called.
async fn brought(
    own: Option<Arc<dyn Tools>>,
    place: &Place,
) -> Option<(Vec<Tool>, Arc<dyn Tools>)> {
    let own = own?;
    match timeout(PATIENCE, own.list(place)).await {
        Ok(Ok(tools)) => Some((tools, own.clone())),
        Ok(Err(error)) => {
            tracing::info!(%error, "a run goes on without the tools it brought");
            None
        }
        Err(_) => {
            tracing::info!("a run goes on without the tools it brought: they do not answer");
            None
        }
    }
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
