//! MCP servers that people add: names unique among their owner's, keys in the vault, never in the log.

use crate::{
    effects::{
        Sensitive,
        secret::hex,
        vault::{Vault, VaultError},
    },
    execute::{self, Decided, Failure},
    log::EventLog,
    names,
};
use domain::{
    Metadata,
    ids::{McpServerId, SecretId, UserId},
    mcp_server::{self, Command, Connection, Endpoint, McpServer, Refusal, Tool},
    name::{McpServerNames, NameHash},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct McpServers {
    log: Arc<dyn EventLog>,
    vault: Vault,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The secret store failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<execute::Error<Refusal>> for Error {
    fn from(error: execute::Error<Refusal>) -> Self {
        match error {
            execute::Error::Refused(refusal) => Self::Refused(refusal),
            execute::Error::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// What is to be saved of how a server is reached.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its key.
    pub api_key: Key,
    /// Who saves it.
    pub saved_by: UserId,
    /// The tools it told when it was tried.
    pub tools: Vec<Tool>,
}

/// Which key a server is shown from now on.
#[derive(Debug, Clone)]
pub enum Key {
    /// The one kept under this reference, or none: as it was.
    Kept(Option<SecretId>),
    /// This one.
    New(Sensitive),
}

impl McpServers {
    /// Over this log and this secret store.
    pub fn new(log: Arc<dyn EventLog>, vault: Vault) -> Self {
        Self { log, vault }
    }

    /// Adds a server that has answered. Of two of the same owner and name, at whatever moment, exactly one comes to be; of the
    /// other nothing is kept.
    ///
    /// # Errors
    /// [`Refusal::BadName`], [`Refusal::Exists`]; or a failure of log or vault.
    pub async fn add(
        &self,
        owner: Option<UserId>,
        name: &str,
        reached: Reached,
        metadata: &Metadata,
    ) -> Result<Decided<McpServer>, Error> {
        mcp_server::check_name(name)?;
        let id = McpServerId(Uuid::new_v4().simple().to_string());
        let key = name_hash(owner.as_ref(), name);
        let (log, abandon) = (&*self.log, Command::Abandon);
        if !names::reserve::<McpServerNames, McpServer>(log, &key, &id, &abandon, metadata).await? {
            return Err(Refusal::Exists.into());
        }
        let added = async {
            let (connection, tools) = self.keep(&id, reached).await?;
            let command = Command::Add { owner, name: name.to_owned(), connection, tools };
            self.execute(&id, command, metadata).await
        };
        let added = added.await;
        if added.is_err() {
            // Somebody thought this creation dead and took its name, or something failed: the next taker of the name need
            // not wait for this server. Refused when it came to be all the same, and then its key stays.
            if execute::execute::<McpServer>(log, &id, &abandon, metadata).await.is_ok() {
                self.vault.destroy(&subject(&id)).await?;
            }
        }
        added
    }

    /// Reaches a server in another way, in which it has answered. A key that is no longer used is forgotten.
    ///
    /// # Errors
    /// [`Refusal::Unknown`]; or a failure of log or vault.
    pub async fn reconnect(
        &self,
        id: &McpServerId,
        before: Option<SecretId>,
        reached: Reached,
        metadata: &Metadata,
    ) -> Result<Decided<McpServer>, Error> {
        let (connection, tools) = self.keep(id, reached).await?;
        let key = connection.api_key;
        let decided = self.execute(id, Command::Reconnect { connection, tools }, metadata).await;
        let unused = match &decided {
            Ok(_) => before.filter(|old| key != Some(*old)),
            Err(Error::Refused(_)) => key.filter(|new| before != Some(*new)),
            // Whether it was written is unknown, so both stay.
            Err(_) => None,
        };
        if let Some(unused) = unused {
            self.vault.discard(unused).await?;
        }
        decided
    }

    /// Deletes a server. Its key goes first: should the rest fail, a server without a key is there to be deleted again.
    ///
    /// # Errors
    /// [`Refusal::Unknown`]; or a failure of log or vault.
    pub async fn delete(
        &self,
        id: &McpServerId,
        metadata: &Metadata,
    ) -> Result<Decided<McpServer>, Error> {
        self.vault.destroy(&subject(id)).await?;
        self.execute(id, Command::Delete, metadata).await
    }

    /// Anything that needs no key.
    ///
    /// # Errors
    /// As the decider refuses; or a failure of the log.
    pub async fn execute(
        &self,
        id: &McpServerId,
        command: Command,
        metadata: &Metadata,
    ) -> Result<Decided<McpServer>, Error> {
        Ok(execute::execute::<McpServer>(&*self.log, id, &command, metadata).await?)
    }

    /// The key kept for a server.
    ///
    /// # Errors
    /// When the secret store does not answer or is damaged.
    pub async fn key(
        &self,
        id: &McpServerId,
        secret: Option<SecretId>,
    ) -> Result<Option<Sensitive>, VaultError> {
        match secret {
            Some(secret) => self.vault.get(&subject(id), secret).await,
            None => Ok(None),
        }
    }

    async fn keep(
        &self,
        id: &McpServerId,
        reached: Reached,
    ) -> Result<(Connection, Vec<Tool>), Error> {
        let Reached { endpoint, api_key, saved_by, tools } = reached;
        let api_key = match api_key {
            Key::Kept(secret) => secret,
            Key::New(key) => {
                let secret = SecretId(Uuid::now_v7());
                self.vault.put(&subject(id), secret, &key).await?;
                Some(secret)
            }
        };
        Ok((Connection { endpoint, api_key, saved_by }, tools))
    }
}

/// Whose secret a server's key is: the server's own, so that it can be destroyed with it.
fn subject(id: &McpServerId) -> String {
    format!("mcp-server-{id}")
}

fn name_hash(owner: Option<&UserId>, name: &str) -> NameHash {
    let owner = owner.map_or("", UserId::as_str);
    let digest = Sha256::new().chain_update(owner).chain_update([0]).chain_update(name);
    NameHash(hex(&digest.finalize()))
}
