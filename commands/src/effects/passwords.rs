//! Password hashes: argon2id, computed away from the async threads, a few at a time.

use super::Sensitive;
use argon2::{
    Argon2, PasswordHasher, PasswordVerifier,
    password_hash::phc::{PasswordHash, Salt},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// How long a caller waits for its turn; a hash takes some tens of milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Hashes are compared with for people who do not exist.
const SALT: [u8; 16] = [7; 16];
/// Longest password in bytes.
pub const LONGEST: usize = 1_024;

/// Why nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many others are waiting.
    #[error("too many passwords are being checked at the moment")]
    Busy,
    /// Empty, or longer than [`LONGEST`] bytes.
    #[error("a password has 1 to {LONGEST} bytes")]
    Length,
    /// The hash function failed or the kept hash is damaged.
    #[error("password hashing failed")]
    Broken,
}

/// Hashes and compares passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    nobodys: Arc<str>,
}

impl Passwords {
    /// As many at a time as the machine has cores; each takes 19 MiB of memory meanwhile.
    ///
    /// # Errors
    /// When the hash function does not work here.
    pub fn new() -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let salt = Salt::new(&SALT).map_err(|_| PasswordError::Broken)?;
        let nobodys = compute(b"nobody", salt.as_ref())?;
        Ok(Self { slots: Arc::new(Semaphore::new(cores)), nobodys: nobodys.into() })
    }

    /// The hash to keep of a password, with a fresh salt, as a PHC string.
    ///
    /// # Errors
    /// When the password is too short or too long, or the machine too busy.
    pub async fn hash(&self, password: &Sensitive) -> Result<Sensitive, PasswordError> {
        if !(1..=LONGEST).contains(&password.expose().len()) {
            return Err(PasswordError::Length);
        }
        let password = password.clone();
        let salt: [u8; 16] = rand::random();
        self.run(move || compute(password.expose().as_bytes(), &salt).map(Sensitive::from)).await
    }

    /// Whether `password` is the one that was hashed. Takes the same time when there is no hash because there is no
    /// such person.
    ///
    /// # Errors
    /// When the machine is too busy or the kept hash damaged.
    pub async fn verify(
        &self,
        password: &Sensitive,
        hash: Option<Sensitive>,
    ) -> Result<bool, PasswordError> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        let (password, nobodys) = (password.clone(), self.nobodys.clone());
        self.run(move || {
            let kept = hash.as_ref().map_or(&*nobodys, Sensitive::expose);
            let kept = PasswordHash::new(kept).map_err(|_| PasswordError::Broken)?;
            let same = Argon2::default().verify_password(password.expose().as_bytes(), &kept);
            Ok(same.is_ok() && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = timeout(PATIENCE, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(PasswordError::Busy) };
        spawn_blocking(move || {
            // Held by the work, not by the caller, who may go away meanwhile.
            let _turn = turn;
            work()
        })
        .await
        .unwrap_or(Err(PasswordError::Broken))
    }
}

fn compute(password: &[u8], salt: &[u8]) -> Result<String, PasswordError> {
    let hash: Result<PasswordHash, _> = Argon2::default().hash_password_with_salt(password, salt);
    hash.map(|hash| hash.to_string()).map_err(|_| PasswordError::Broken)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn password(text: &str) -> Sensitive {
        Sensitive::from(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash(&password("hunter2")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(&password("hunter2"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&password("hunter3"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_has_a_password() {
        let passwords = Passwords::new().unwrap();
        assert!(!passwords.verify(&password("nobody"), None).await.unwrap());
    }

    #[tokio::test]
    async fn empty_and_endless_passwords_are_refused() {
        let passwords = Passwords::new().unwrap();
        for text in [String::new(), "x".repeat(LONGEST + 1)] {
            let refused = passwords.hash(&password(&text)).await;
            assert_eq!(refused.unwrap_err(), PasswordError::Length);
        }
    }
}
