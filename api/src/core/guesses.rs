//! Guards against guessing, by who is guessed at and from where.

use super::{
    Error,
    access::{CAPACITY, WINDOW},
    throttle::Throttle,
};
use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// How long a guess waits while as many as may be wrong are looked at.
const PATIENCE: Duration = Duration::from_secs(20);
/// When to try again after having waited so long.
const LATER: Duration = Duration::from_secs(1);

/// Counts guesses. Good ones are taken back, so that people who know their password never meet a limit of their own
/// making, however many of their programs log in at once.
#[derive(Debug)]
pub struct Guesses {
    /// Somebody at one account: cannot lock out the account's owner, who sits elsewhere.
    pair: Throttle,
    /// Everybody at one account.
    account: Throttle,
    /// Somebody at all accounts.
    address: Throttle,
    /// Held while a guess is counted by all three or none.
    counting: Mutex<()>,
    settled: Notify,
}

/// A guess that is being looked at. Dropped, it was a wrong one.
#[derive(Debug)]
#[must_use]
pub struct Guess<'a> {
    guesses: &'a Guesses,
    account: String,
    address: Option<IpAddr>,
    good: bool,
}

impl Guess<'_> {
    /// It was a good one.
    pub fn forgive(mut self) {
        self.good = true;
    }
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        let Self { guesses, account, address, good } = self;
        if *good {
            guesses.address.forgive(*address);
            guesses.pair.forgive((&*account, *address));
            guesses.account.forgive(&*account);
        } else {
            guesses.address.uphold(*address);
            guesses.pair.uphold((&*account, *address));
            guesses.account.uphold(&*account);
        }
        guesses.settled.notify_waiters();
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            pair: Throttle::new(10, WINDOW, CAPACITY),
            account: Throttle::new(200, WINDOW, CAPACITY),
            address: Throttle::new(100, WINDOW, CAPACITY),
            counting: Mutex::default(),
            settled: Notify::new(),
        }
    }
}

impl Guesses {
    /// Counts a guess at `account` from `address`, before it is looked at. While so many are looked at that this one would
    /// be one too many if they were all wrong, it waits.
    ///
    /// # Errors
    /// [`Error::Throttled`] when there were too many, or it waited too long.
    pub async fn attempt(
        &self,
        account: &str,
        address: Option<IpAddr>,
    ) -> Result<Guess<'_>, Error> {
        let account = account.trim().to_lowercase();
        let admitted = async {
            loop {
                // Hears of all that is settled from here on.
                let settled = self.settled.notified();
                if self.begin(&account, address)? {
                    return Ok(Guess { guesses: self, account, address, good: false });
                }
                settled.await;
            }
        };
        let late = |_| Err(Error::Throttled { retry_after: LATER });
        timeout(PATIENCE, admitted).await.unwrap_or_else(late)
    }

    /// Counts it everywhere or nowhere.
    fn begin(&self, account: &String, address: Option<IpAddr>) -> Result<bool, Error> {
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.address.begin(address)? {
            return Ok(false);
        }
        let pair = self.pair.begin((account, address));
        if !matches!(pair, Ok(true)) {
            self.address.forgive(address);
            return pair;
        }
        let all = self.account.begin(account);
        if !matches!(all, Ok(true)) {
            self.address.forgive(address);
            self.pair.forgive((account, address));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    async fn wrong(guesses: &Guesses, account: &str, last: u8) -> bool {
        guesses.attempt(account, address(last)).await.is_ok()
    }

    #[tokio::test]
    async fn ten_wrong_guesses_close_the_door_for_that_address_only() {
        let guesses = Guesses::default();
        for _ in 0..10 {
            assert!(wrong(&guesses, "ann", 1).await);
        }
        assert!(!wrong(&guesses, " ANN", 1).await);
        assert!(wrong(&guesses, "ann", 2).await);
        assert!(wrong(&guesses, "bob", 1).await);
    }

    #[tokio::test]
    async fn an_address_that_tries_everybody_is_stopped() {
        let guesses = Guesses::default();
        for n in 0..200 {
            assert_eq!(wrong(&guesses, &n.to_string(), 1).await, n < 100, "{n}");
        }
    }

    #[tokio::test]
    async fn whoever_knows_the_password_is_never_stopped() {
        let guesses = Guesses::default();
        for _ in 0..500 {
            let guess = guesses.attempt("ann", address(1)).await;
            assert!(guess.map(Guess::forgive).is_ok());
        }
    }

    #[tokio::test]
    async fn however_many_of_their_programs_log_in_at_once() {
        let guesses = Guesses::default();
        let under_way: Vec<_> =
            futures::future::join_all((0..10).map(|_| guesses.attempt("ann", address(1)))).await;
        let mut next = Box::pin(guesses.attempt("ann", address(1)));
        assert!(next.as_mut().now_or_never().is_none(), "it waits");
        assert!(wrong(&guesses, "ann", 2).await, "others do not");
        for guess in under_way {
            assert!(guess.map(Guess::forgive).is_ok());
        }
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_behind_wrong_guesses_is_stopped() {
        let guesses = Guesses::default();
        let under_way: Vec<_> =
            futures::future::join_all((0..10).map(|_| guesses.attempt("ann", address(1)))).await;
        let mut next = Box::pin(guesses.attempt("ann", address(1)));
        assert!(next.as_mut().now_or_never().is_none());
        drop(under_way);
        assert!(next.await.is_err());
        // What was refused counts nowhere.
        assert!(wrong(&guesses, "bob", 1).await);
    }
}
