//! The secrets of apps and of inputs: kept under their app's owner, or under who ran it, until app or account is deleted.

use crate::effects::{
    Sensitive,
    vault::{Vault, VaultError},
};
use domain::{
    app::{Definition, secrets::Holder},
    ids::{AppId, SecretId, UserId},
};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// Secrets of one app, or of one person's inputs to it, at most.
pub const MOST: usize = 1_000;
/// Characters of a word that may be a key in a longer secret.
const WORD: usize = 8;

/// Under which the secrets in an app's definition are kept.
pub fn of_app(owner: &UserId, app: AppId) -> String {
    format!("{owner}/apps/{app}")
}

/// Under which the secrets in somebody's inputs to an app are kept.
pub fn of_inputs(caller: &UserId, app: AppId) -> String {
    format!("{caller}/inputs/{app}")
}

/// Puts back what the references in a definition stand for. What was destroyed stays a reference.
///
/// # Errors
/// When the vault does not answer.
pub async fn open(
    vault: &Vault,
    owner: &UserId,
    app: AppId,
    definition: &mut Definition,
) -> Result<Hidden, VaultError> {
    if !definition.refers() {
        return Ok(Hidden::default());
    }
    let known = Known::of(vault, &of_app(owner, app)).await?;
    definition.open(&|id| known.value(id));
    Ok(known.hidden())
}

/// As [`open`], for an input, in which declared defaults may be secrets of the app.
///
/// # Errors
/// When the vault does not answer.
pub async fn open_input(
    vault: &Vault,
    (owner, caller): (&UserId, &UserId),
    app: AppId,
    input: &mut Map<String, Value>,
) -> Result<Hidden, VaultError> {
    if !input.refers() {
        return Ok(Hidden::default());
    }
    let mut known = Known::of(vault, &of_inputs(caller, app)).await?;
    known.0.extend(Known::of(vault, &of_app(owner, app)).await?.0);
    input.open(&|id| known.value(id));
    Ok(known.hidden())
}

/// Puts references where a caller typed secrets into an input, and keeps those. For want of room the oldest are forgotten: they
/// are of use only while their run goes on.
///
/// # Errors
/// When the vault does not answer.
pub async fn seal_input(
    vault: &Vault,
    caller: &UserId,
    app: AppId,
    definition: &Definition,
    input: &mut Map<String, Value>,
) -> Result<(), VaultError> {
    let mut any = false;
    definition.seal_input(&mut input.clone(), &mut |_| {
        any = true;
        SecretId(Uuid::nil())
    });
    if !any {
        return Ok(());
    }
    let subject = of_inputs(caller, app);
    let mut keeper = Keeper::open(vault, &subject).await?;
    definition.seal_input(input, &mut |secret| keeper.keep(secret));
    let old = keeper.beyond();
    keeper.store().await?;
    for secret in old {
        vault.discard(secret).await?;
    }
    Ok(())
}

/// What is kept under a subject.
struct Known(HashMap<SecretId, Sensitive>);

impl Known {
    async fn of(vault: &Vault, subject: &str) -> Result<Self, VaultError> {
        Ok(Self(vault.all(subject).await?.into_iter().collect()))
    }

    fn value(&self, id: SecretId) -> Option<Value> {
        serde_json::from_str(self.0.get(&id)?.expose()).ok()
    }

    fn hidden(&self) -> Hidden {
        let values = self.0.keys().filter_map(|id| self.value(*id));
        let texts =
            values.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let mut hidden: Vec<Sensitive> = Vec::new();
        for text in texts {
            let word = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
            let words = text.split(word).filter(|word| {
                word.len() >= WORD
                    && word.bytes().any(|byte| byte.is_ascii_digit())
                    && word.bytes().any(|byte| byte.is_ascii_alphabetic())
            });
            hidden.extend(words.map(|word| Sensitive::from(word.to_owned())));
            hidden.push(Sensitive::from(text));
        }
        // A secret that is part of another one is hidden after it.
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Hidden(hidden.into())
    }
}

/// Takes secrets in, each once.
pub(super) struct Keeper<'a> {
    vault: &'a Vault,
    subject: &'a str,
    known: HashMap<String, SecretId>,
    new: Vec<(SecretId, Sensitive)>,
}

impl<'a> Keeper<'a> {
    /// Knows what is kept under this subject already.
    pub async fn open(vault: &'a Vault, subject: &'a str) -> Result<Self, VaultError> {
        let known = vault.all(subject).await?.into_iter();
        let known = known.map(|(id, secret)| (secret.expose().to_owned(), id)).collect();
        Ok(Self { vault, subject, known, new: Vec::new() })
    }

    /// What is to be written instead of this secret.
    pub fn keep(&mut self, secret: &Value) -> SecretId {
        let text = secret.to_string();
        let new = &mut self.new;
        *self.known.entry(text.clone()).or_insert_with(|| {
            let id = SecretId(Uuid::now_v7());
            new.push((id, Sensitive::from(text)));
            id
        })
    }

    /// Whether more is to be kept than there is room for.
    pub fn is_full(&self) -> bool {
        !self.new.is_empty() && self.known.len() > MOST
    }

    /// The oldest of those for which there is no room.
    fn beyond(&self) -> Vec<SecretId> {
        let mut all: Vec<SecretId> = self.known.values().copied().collect();
        // Ids ascend with time.
        all.sort_unstable();
        all.truncate(all.len().saturating_sub(MOST));
        all
    }

    /// Keeps what is new, and says under which references.
    pub async fn store(self) -> Result<Vec<SecretId>, VaultError> {
        for (id, secret) in &self.new {
            self.vault.put(self.subject, *id, secret).await?;
        }
        Ok(self.new.into_iter().map(|(id, _)| id).collect())
    }
}

/// Secrets that a run uses, and that nothing it says may hold.
#[derive(Debug, Clone, Default)]
pub struct Hidden(Arc<[Sensitive]>);

impl Hidden {
    /// These, and those.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        if more.0.is_empty() {
            return self.clone();
        }
        Self(self.0.iter().chain(more.0.iter()).cloned().collect())
    }

    /// The text without them.
    pub fn out_of_text(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| secret.hidden_in(text))
    }

    /// The value without them.
    pub fn out_of(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => self.out_of_text(text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.out_of(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, field)| (key, self.out_of(field)));
                Value::Object(fields.collect())
            }
            other => other,
        }
    }
}
