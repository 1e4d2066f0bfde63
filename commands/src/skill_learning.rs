//! Learning which skills belong together, from what tasks called for: noted by day, learnt from when the day is over.

use crate::{
    execute::{self, Failure, Loaded},
    log::EventLog,
};
use chrono::{Days, NaiveDate};
use domain::{
    Metadata,
    admins::Everywhere,
    skill_day::{self, SkillDay},
    skill_edges::{self, Pair, SkillEdges},
    skill_graph::Graph,
};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// Days before the first one that is learnt from, and days that a server may have been down without a gap.
const BACK: u64 = 7;

/// The use cases; cheap to clone.
#[derive(Clone)]
pub struct SkillLearning {
    log: Arc<dyn EventLog>,
}

impl SkillLearning {
    /// The use cases on this log.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    /// Notes what a task called for, best first.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn note(
        &self,
        day: NaiveDate,
        skills: Vec<String>,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        let command = skill_day::Command::Activate(skills);
        match execute::execute::<SkillDay>(&*self.log, &day, &command, metadata).await {
            Ok(_) => Ok(()),
            Err(execute::Error::Refused(never)) => match never {},
            Err(execute::Error::Failed(failure)) => Err(failure),
        }
    }

    /// Learns from every day before `today` that was not learnt from; what is known then. `authored` is what authors of
    /// skills wrote.
    ///
    /// # Errors
    /// When the log fails.
    pub async fn learn(
        &self,
        today: NaiveDate,
        authored: &Graph,
    ) -> Result<BTreeMap<Pair, f64>, Failure> {
        let mut edges = Loaded::<SkillEdges>::load(&*self.log, &Everywhere).await?;
        let earliest = today - Days::new(BACK);
        let next = edges.state().last.map_or(earliest, |last| (last + Days::new(1)).max(earliest));
        for day in next.iter_days().take_while(|day| *day < today) {
            let noted = Loaded::<SkillDay>::load(&*self.log, &day).await?;
            let pairs = noted
                .state()
                .pairs
                .iter()
                .map(|pair| (pair.clone(), authored.weight(&pair.0, &pair.1)));
            let command = skill_edges::Command::Learn { day, pairs: pairs.collect() };
            let metadata = Metadata::system(Uuid::now_v7());
            match edges.execute(&*self.log, &command, &metadata).await {
                Ok(_) => {}
                Err(execute::Error::Refused(never)) => match never {},
                Err(execute::Error::Failed(failure)) => return Err(failure),
            }
        }
        Ok(edges.state().learned.clone())
    }
}
