//! What clients know of the server: where it is, and whether it was killed since they last asked.

use annals_tests::{app::Person, process::DEADLINE};
use anyhow::{Context, Error, Result, bail};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};
use tokio::{sync::watch, time::timeout};

/// Shared by killer and clients.
#[derive(Debug, Clone)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: watch::Sender<State>,
    received: AtomicU64,
    finished: AtomicBool,
    failure: Mutex<Option<String>>,
}

#[derive(Debug, Clone)]
struct State {
    /// Which life of the server this is.
    life: u64,
    /// `None` while it is down.
    person: Option<Person>,
}

/// Somebody at the server as it is in one of its lives.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Calls the server.
    pub person: Person,
    life: u64,
}

impl World {
    pub fn new(person: Person) -> Self {
        let server = watch::Sender::new(State { life: 0, person: Some(person) });
        let (received, finished) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { server, received, finished, failure: Mutex::default() }))
    }

    /// The server is about to be killed.
    pub fn down(&self) {
        self.0.server.send_modify(|state| {
            *state = State { life: state.life + 1, person: None };
        });
    }

    /// The server is there again.
    pub fn up(&self, person: Person) {
        self.0.server.send_modify(|state| state.person = Some(person));
    }

    /// Clients end when their run has ended.
    pub fn finish(&self) {
        self.0.finished.store(true, SeqCst);
    }

    pub fn is_finished(&self) -> bool {
        self.0.finished.load(SeqCst)
    }

    /// Lines that all clients together have received.
    pub fn received(&self) -> u64 {
        self.0.received.load(SeqCst)
    }

    pub fn count_line(&self) {
        self.0.received.fetch_add(1, SeqCst);
    }

    /// A client gives up; the test ends at its next look.
    pub fn fail(&self, error: &Error) {
        self.0.failure.lock().unwrap().get_or_insert(format!("{error:?}"));
    }

    /// Whether all clients are well.
    pub fn healthy(&self) -> Result<()> {
        match &*self.0.failure.lock().unwrap() {
            None => Ok(()),
            Some(failure) => bail!("{failure}"),
        }
    }

    /// The server as it is now, or as soon as it is up.
    pub async fn visit(&self) -> Result<Visit> {
        let mut server = self.0.server.subscribe();
        let up = server.wait_for(|state| state.person.is_some());
        let state = timeout(DEADLINE, up).await.context("the server stays away")??.clone();
        Ok(Visit { person: state.person.context("it is up")?, life: state.life })
    }

    /// Excuses an error that the end of a life explains; nothing else excuses one.
    pub fn excuse(&self, visit: &Visit, error: Error) -> Result<()> {
        if self.0.server.borrow().life == visit.life { Err(error) } else { Ok(()) }
    }
}
