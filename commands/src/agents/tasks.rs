//! Writing in the background. The log holds what was asked and what came of it; the work itself is this process's, and what
//! a process that is gone has left behind has failed.

use crate::{
    execute::{self, Failure},
    log::EventLog,
};
use domain::{
    Metadata, Position,
    agent_task::{self, AgentTask, Command, Request},
    ids::{NodeId, TaskId},
};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The tasks of this process. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    log: Arc<dyn EventLog>,
    node: NodeId,
    running: Arc<Mutex<HashMap<TaskId, CancellationToken>>>,
}

/// A task's place among those that run here, until it is dropped.
struct Place {
    tasks: Tasks,
    id: TaskId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.lock().remove(&self.id);
    }
}

impl Tasks {
    /// Tasks performed as `node`.
    pub fn new(log: Arc<dyn EventLog>, node: NodeId) -> Self {
        Self { log, node, running: Arc::default() }
    }

    /// Begins a task; `work` does it in the background and comes to an end by itself.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn begin(
        &self,
        request: Request,
        work: impl Future<Output = Result<Map<String, Value>, agent_task::Failure>> + Send + 'static,
        metadata: &Metadata,
    ) -> Result<(TaskId, Option<Position>), Failure> {
        let id = TaskId(Uuid::new_v4());
        let stop = CancellationToken::new();
        // Before the log knows it: a task of this node that nobody performs is taken for left behind.
        self.lock().insert(id, stop.clone());
        let place = Place { tasks: self.clone(), id };
        let request = Request { node: self.node, ..request };
        let position = self.tell(id, Command::Request(Box::new(request)), metadata).await?;
        let metadata = metadata.clone();
        tokio::spawn(async move {
            let end = match stop.run_until_cancelled(work).await {
                Some(Ok(result)) => Command::Complete { result },
                Some(Err(failure)) => Command::Fail(failure),
                None => return,
            };
            if let Err(failure) = place.tasks.tell(id, end, &metadata).await {
                tracing::warn!(task = %id, %failure, "a task's end is not recorded");
            }
        });
        Ok((id, position))
    }

    /// Ends a task that is no longer wanted; one that is over stays as it is.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn cancel(
        &self,
        id: TaskId,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Failure> {
        let position = self.tell(id, Command::Cancel, metadata).await?;
        if let Some(stop) = self.lock().get(&id) {
            stop.cancel();
        }
        Ok(position)
    }

    /// Ends those of these running tasks that nobody performs any more. `alive` are the nodes at work.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn bury(
        &self,
        running: Vec<(TaskId, NodeId)>,
        alive: &[NodeId],
    ) -> Result<(), Failure> {
        for (id, node) in running {
            let performed = match node == self.node {
                true => self.lock().contains_key(&id),
                false => alive.contains(&node),
            };
            if !performed {
                let message = "the server was stopped while this was being written".to_owned();
                let failure = agent_task::Failure { message, code: 500 };
                self.tell(id, Command::Fail(failure), &Metadata::system(Uuid::now_v7())).await?;
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        id: TaskId,
        command: Command,
        metadata: &Metadata,
    ) -> Result<Option<Position>, Failure> {
        match execute::execute::<AgentTask>(&*self.log, &id, &command, metadata).await {
            Ok(decided) => Ok(decided.position),
            // Ids are our own and new, and only tasks that were listed are ended.
            Err(execute::Error::Refused(_)) => Ok(None),
            Err(execute::Error::Failed(failure)) => Err(failure),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
