//! One connection per server, opened when it is first needed and again when it broke.

use super::{Clients, Connection, McpError, Target, Times};
use crate::{effects::tools::Outcome, pulse, trace};
use domain::mcp_server::Tool;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span, field};

/// Most connections at a time; beyond, the one that was not used for longest is given up.
const MOST: usize = 128;

/// Hears which tools a pooled server has: after each connecting, and whenever it says that they changed.
pub trait Listener: Send + Sync {
    /// The tools of the server with this id.
    fn told<'a>(&'a self, server: &'a str, tools: Vec<Tool>) -> BoxFuture<'a, ()>;
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    clients: Clients,
    times: Times,
    listener: Option<Arc<dyn Listener>>,
    slots: Mutex<HashMap<String, Slot>>,
}

struct Slot {
    version: i64,
    used: Instant,
    opening: Opening,
}

/// An attempt that everybody who wants the same connection shares. It runs on its own: who gives up waiting stops nobody else.
type Opening = Shared<BoxFuture<'static, Result<Arc<Live>, McpError>>>;

struct Live {
    connection: Arc<Connection>,
    _watcher: Option<AbortOnDropHandle<()>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connections", &self.0.slots().len()).finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool; it closes idle connections on its own. Without a listener nobody wants to know which tools there are.
    pub fn new(clients: Clients, times: Times, listener: Option<Arc<dyn Listener>>) -> Self {
        let inner = Inner { clients, times, listener, slots: Mutex::default() };
        let pool = Self(Arc::new(inner));
        tokio::spawn(tidy(Arc::downgrade(&pool.0), times.idle));
        pool
    }

    /// Calls a tool, connecting first if need be; all of it within `times.call`.
    ///
    /// # Errors
    /// As [`McpError`]. Nothing is tried twice but what the server has surely not begun, and tools that may be called twice: a
    /// server that restarted is often noticed only by a call that gets no answer.
    pub async fn call(
        &self,
        target: &Target,
        tool: &Tool,
        arguments: &Map<String, Value>,
    ) -> Result<Outcome, McpError> {
        let within = self.0.times.call;
        let begun = Instant::now();
        let talk = self.talk(target, tool, arguments).instrument(span(target, tool));
        let answer = timeout(within, talk).await.unwrap_or(Err(McpError::TooSlow(within)));
        let outcome = match &answer {
            Ok(outcome) => outcome.status.as_str(),
            Err(McpError::TooSlow(_)) => "timeout",
            Err(_) => "failed",
        };
        pulse::MCP_SECONDS.time(outcome, begun.elapsed());
        answer
    }

    /// The tools a server has now.
    ///
    /// # Errors
    /// As [`McpError`].
    pub async fn tools(&self, target: &Target) -> Result<Vec<Tool>, McpError> {
        let live = self.connection(target).await?;
        let told = live.connection.tools().await;
        // To ask twice does no harm.
        if !self.may_try_again(target, &live, told.as_ref().err(), true) {
            return told;
        }
        self.connection(target).await?.connection.tools().await
    }

    /// Closes the connection to this server, if there is one; calls that are under way end first.
    pub fn forget(&self, id: &str) {
        self.0.slots().remove(id);
    }

    async fn talk(
        &self,
        target: &Target,
        tool: &Tool,
        arguments: &Map<String, Value>,
    ) -> Result<Outcome, McpError> {
        let live = self.connection(target).await?;
        let answer = live.connection.call(&tool.name, arguments).await;
        if !self.may_try_again(target, &live, answer.as_ref().err(), tool.idempotent) {
            return answer;
        }
        self.connection(target).await?.connection.call(&tool.name, arguments).await
    }

    /// Gives up a connection that is of no use after this error; whether to ask again can do no harm: the server has surely not
    /// begun what it was asked, or may do it twice.
    fn may_try_again(
        &self,
        target: &Target,
        live: &Arc<Live>,
        error: Option<&McpError>,
        idempotent: bool,
    ) -> bool {
        let Some(error) = error else { return false };
        if error.ends_connection() {
            self.give_up(&target.id, live);
        }
        match error {
            McpError::Gone | McpError::Unreachable => true,
            McpError::Broken => idempotent,
            _ => false,
        }
    }

    async fn connection(&self, target: &Target) -> Result<Arc<Live>, McpError> {
        let opening = {
            let mut slots = self.0.slots();
            match slots.get_mut(&target.id) {
                Some(slot) if slot.version == target.version && !slot.is_over() => {
                    slot.used = Instant::now();
                    slot.opening.clone()
                }
                _ => {
                    let opening = self.open(target);
                    let (version, used) = (target.version, Instant::now());
                    let slot = Slot { version, used, opening: opening.clone() };
                    slots.insert(target.id.clone(), slot);
                    make_room(&mut slots);
                    opening
                }
            }
        };
        opening.await
    }

    fn open(&self, target: &Target) -> Opening {
        let (clients, times, target) = (self.0.clients.clone(), self.0.times, target.clone());
        let listener = self.0.listener.clone();
        let opened = tokio::spawn(async move {
            let connection = Arc::new(Connection::open(&clients, &target, times).await?);
            let watcher = listener.map(|listener| {
                let changed = connection.tools_changed();
                // To begin with, it is looked at what changed while there was no connection.
                changed.notify_one();
                let watched = Arc::downgrade(&connection);
                let watch = watch(watched, changed, target.id, listener, times.pause);
                AbortOnDropHandle::new(tokio::spawn(watch))
            });
            Ok(Arc::new(Live { connection, _watcher: watcher }))
        });
        opened.map(|opened| opened.unwrap_or(Err(McpError::Broken))).boxed().shared()
    }

    /// Forgets this very connection, and not one that has taken its place.
    fn give_up(&self, id: &str, live: &Arc<Live>) {
        let mut slots = self.0.slots();
        if slots.get(id).is_some_and(|slot| slot.is(live)) {
            slots.remove(id);
        }
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // Nothing that is done under the lock leaves the map half changed.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether it is of no use: it failed, or the server ended it.
    fn is_over(&self) -> bool {
        match self.opening.peek() {
            Some(Ok(live)) => live.connection.is_closed(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    fn is(&self, live: &Arc<Live>) -> bool {
        matches!(self.opening.peek(), Some(Ok(mine)) if Arc::ptr_eq(mine, live))
    }
}

fn make_room(slots: &mut HashMap<String, Slot>) {
    while slots.len() > MOST {
        let oldest = slots.iter().min_by_key(|(_, slot)| slot.used).map(|(id, _)| id.clone());
        let Some(oldest) = oldest else { return };
        slots.remove(&oldest);
    }
}

fn span(target: &Target, tool: &Tool) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        "tools/call",
        otel.name = format!("tools/call {}", tool.name),
        otel.kind = "client",
        mcp.method.name = "tools/call",
        gen_ai.tool.name = tool.name,
        server.address = field::Empty,
        server.port = field::Empty,
    );
    if !span.is_disabled() {
        trace::note_server(&span, &target.endpoint.url);
    }
    span
}

/// Closes what nobody uses, for as long as the pool lives.
async fn tidy(pool: Weak<Inner>, idle: Duration) {
    loop {
        sleep(idle / 4).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.slots().retain(|_, slot| slot.used.elapsed() < idle && !slot.is_over());
    }
}

/// Tells the listener the tools whenever they may have changed. What cannot be had is left as it is known.
async fn watch(
    connection: Weak<Connection>,
    changed: Arc<Notify>,
    server: String,
    listener: Arc<dyn Listener>,
    pause: Duration,
) {
    loop {
        changed.notified().await;
        let Some(connection) = connection.upgrade() else { return };
        match connection.tools().await {
            Ok(tools) => listener.told(&server, tools).await,
            Err(error) => tracing::info!(server, %error, "an MCP server does not tell its tools"),
        }
        drop(connection);
        sleep(pause).await;
    }
}
