//! Agents, whose names are unique among their owner's; and what models write about them.

pub mod draft;
pub mod optimize;
pub mod tasks;
pub mod template;
mod writer;

pub use writer::Writer;

use crate::{
    effects::secret::hex,
    execute::{self, Decided, Error, Loaded},
    log::EventLog,
};
use domain::{
    Metadata,
    agent::{self, Agent, Command, Config},
    ids::{AgentId, UserId},
    name::{self, AgentNames, Name, NameHash},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How often a name is taken over from agents that are gone, before it counts as taken.
const TAKEOVERS: usize = 3;

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
/// [`agent::Refusal::BadName`], or [`agent::Refusal::Exists`] when the owner has an agent of this name.
pub async fn create(
    log: &dyn EventLog,
    owner: UserId,
    config: Box<Config>,
    metadata: &Metadata,
) -> Result<Created, Error<agent::Refusal>> {
    agent::check_name(&config.name).map_err(Error::Refused)?;
    let unique = Uuid::new_v4().simple().to_string();
    let id = AgentId(format!("agent_{}", &unique[..8]));
    if !reserve(log, &owner, &config.name, &id, metadata).await? {
        return Err(Error::Refused(agent::Refusal::Exists));
    }
    // Refused when somebody thought this creation dead in the meantime and took its name.
    let command = Command::Create { owner, config };
    let decided = execute::execute::<Agent>(log, &id, &command, metadata).await?;
    Ok(Created { id, decided })
}

/// Lets an agent work in another way. A new name is reserved first; the old one needs no release, see [`reserve`].
///
/// # Errors
/// [`agent::Refusal::Unknown`], [`agent::Refusal::BadName`], or [`agent::Refusal::Exists`] when the owner has another agent
/// of this name.
pub async fn reconfigure(
    log: &dyn EventLog,
    id: &AgentId,
    config: Box<Config>,
    metadata: &Metadata,
) -> Result<Decided<Agent>, Error<agent::Refusal>> {
    agent::check_name(&config.name).map_err(Error::Refused)?;
    for _ in 0..TAKEOVERS {
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

/// Whether the name is the agent's. One held by an agent that is gone, whose creation never came to an end, or that bears
/// another name by now, is taken over: so names need no release.
async fn reserve(
    log: &dyn EventLog,
    owner: &UserId,
    wanted: &str,
    id: &AgentId,
    metadata: &Metadata,
) -> Result<bool, Error<agent::Refusal>> {
    let name = &name_hash(owner, wanted);
    let mut instead_of = None;
    for _ in 0..TAKEOVERS {
        let command = name::Command::Reserve { holder: id.clone(), instead_of };
        let holder = match execute::execute::<Name<AgentNames>>(log, name, &command, metadata).await
        {
            Ok(_) => return Ok(true),
            Err(Error::Failed(failure)) => return Err(failure.into()),
            Err(Error::Refused(taken)) => taken.holder,
        };
        let forgo = Command::Forgo { name: wanted.to_owned() };
        match execute::execute::<Agent>(log, &holder, &forgo, metadata).await {
            Ok(_) => instead_of = Some(holder),
            Err(Error::Refused(_)) => return Ok(false),
            Err(Error::Failed(failure)) => return Err(failure.into()),
        }
    }
    Ok(false)
}

fn name_hash(owner: &UserId, name: &str) -> NameHash {
    let digest = Sha256::new().chain_update(owner.as_str()).chain_update([0]).chain_update(name);
    NameHash(hex(&digest.finalize()))
}
