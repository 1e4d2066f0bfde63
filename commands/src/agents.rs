//! Agents, whose names are unique among their owner's; and what models write about them.

pub mod draft;
pub mod optimize;
pub mod tasks;
pub mod template;
pub mod wording;
mod writer;

pub use writer::Writer;

use crate::{
    effects::secret::hex,
    execute::{self, Decided, Error, Failure, Loaded},
    log::EventLog,
    names,
};
use domain::{
    Metadata,
    agent::{self, Agent, Command, Config},
    ids::{AgentId, UserId},
    name::{AgentNames, NameHash},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How often a new name is reserved again when it was lost in the meantime.
const ATTEMPTS: usize = 3;

/// An agent that was created.
#[derive(Debug)]
pub struct Created {
    /// Its id.
    pub id: AgentId,
    /// What was decided.
    pub decided: Decided<Agent>,
}

/// Creates an agent. Of two of the same owner and name, at whatever moment, exactly one comes to be.
///
/// # Errors
/// [`agent::Refusal::BadName`], [`agent::Refusal::TooLarge`], or [`agent::Refusal::Exists`] when the owner has an agent of
/// this name.
pub async fn create(
    log: &dyn EventLog,
    owner: UserId,
    config: Box<Config>,
    metadata: &Metadata,
) -> Result<Created, Error<agent::Refusal>> {
    config.check().map_err(Error::Refused)?;
    let unique = Uuid::new_v4().simple().to_string();
    let id = AgentId(format!("agent_{}", &unique[..8]));
    if !reserve(log, &owner, &config.name, &id, metadata).await? {
        return Err(Error::Refused(agent::Refusal::Exists));
    }
    let forgo = Command::Forgo { name: config.name.clone() };
    // Refused when somebody thought this creation dead in the meantime and took its name.
    let command = Command::Create { owner, config };
    match execute::execute::<Agent>(log, &id, &command, metadata).await {
        Ok(decided) => Ok(Created { id, decided }),
        Err(error) => {
            // Best effort, so that the next taker of the name need not wait for this agent.
            let _ = execute::execute::<Agent>(log, &id, &forgo, metadata).await;
            Err(error)
        }
    }
}

/// Lets an agent work in another way. A new name is reserved first; the old one needs no release, see [`reserve`].
///
/// # Errors
/// [`agent::Refusal::Unknown`], [`agent::Refusal::BadName`], [`agent::Refusal::TooLarge`], or [`agent::Refusal::Exists`]
/// when the owner has another agent of this name.
pub async fn reconfigure(
    log: &dyn EventLog,
    id: &AgentId,
    config: Box<Config>,
    metadata: &Metadata,
) -> Result<Decided<Agent>, Error<agent::Refusal>> {
    config.check().map_err(Error::Refused)?;
    for _ in 0..ATTEMPTS {
        let loaded = Loaded::<Agent>::load(log, id).await?;
        let Agent::Present(agent) = loaded.state() else {
            return Err(Error::Refused(agent::Refusal::Unknown));
        };
        let (owner, forgone) = (&agent.owner, agent.forgone);
        if agent.config.name != config.name
            && !reserve(log, owner, &config.name, id, metadata).await?
        {
            return Err(Error::Refused(agent::Refusal::Exists));
        }
        let command = Command::Reconfigure { config: config.clone(), forgone };
        match execute::execute::<Agent>(log, id, &command, metadata).await {
            // Somebody took the name over in the meantime, not knowing that we were about to bear it.
            Err(Error::Refused(agent::Refusal::NameLost)) => {}
            decided => return decided,
        }
    }
    Err(Error::Refused(agent::Refusal::Exists))
}

/// Whether the name is the agent's. One held by an agent that bears another name by now is taken over, too.
async fn reserve(
    log: &dyn EventLog,
    owner: &UserId,
    wanted: &str,
    id: &AgentId,
    metadata: &Metadata,
) -> Result<bool, Failure> {
    let forgo = Command::Forgo { name: wanted.to_owned() };
    let name = name_hash(owner, wanted);
    names::reserve::<AgentNames, Agent>(log, &name, id, &forgo, metadata).await
}

fn name_hash(owner: &UserId, name: &str) -> NameHash {
    let digest = Sha256::new().chain_update(owner.as_str()).chain_update([0]).chain_update(name);
    NameHash(hex(&digest.finalize()))
}
