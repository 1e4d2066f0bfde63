//! How far a new person has come before the assistant talks to them.

use crate::{
    Decider, Kind,
    ids::{JobId, UploadId, UserId},
};
use serde::{Deserialize, Serialize};

/// A station on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Station {
    /// The browser extension is to be installed.
    #[default]
    ExtensionInstall,
    /// Data is being gathered.
    DataCollection,
    /// What was gathered is being read.
    Processing,
    /// Done.
    Complete,
}

impl Station {
    const ALL: [Self; 4] =
        [Self::ExtensionInstall, Self::DataCollection, Self::Processing, Self::Complete];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExtensionInstall => "EXTENSION_INSTALL",
            Self::DataCollection => "DATA_COLLECTION",
            Self::Processing => "PROCESSING",
            Self::Complete => "COMPLETE",
        }
    }

    /// The station of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|station| station.as_str() == name)
    }

    /// Where the person may go from here.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::ExtensionInstall => &[Self::DataCollection],
            Self::DataCollection => &[Self::Processing],
            Self::Processing => &[Self::Complete, Self::DataCollection],
            Self::Complete => &[],
        }
    }
}

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The person has come to another station.
    OnboardingStateChanged {
        /// Which.
        state: Station,
    },
    /// The person has sent what they exported elsewhere; they are at [`Station::Processing`] from now on.
    ExportUploaded {
        /// Who takes it in.
        job: JobId,
        /// Where it lies.
        file: UploadId,
    },
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Go to a station.
    Move {
        /// Where to.
        to: Station,
        /// Whether the order of stations does not matter: for administrators and servers.
        freely: bool,
    },
    /// Have an export taken in.
    Upload {
        /// By this job.
        job: JobId,
        /// It lies there.
        file: UploadId,
        /// A job known to be over, or never to have begun.
        instead_of: Option<JobId>,
    },
    /// This job begins, perhaps again after it had failed.
    Resume(JobId),
    /// This job has taken in everything, or never will.
    Finish {
        /// Which.
        job: JobId,
        /// Whether it did.
        imported: bool,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// One cannot go there from here.
    #[error("{} does not follow {}", .to.as_str(), .from.as_str())]
    NotNext {
        /// From.
        from: Station,
        /// To.
        to: Station,
    },
    /// Another export is being taken in.
    #[error("another export is being taken in")]
    Importing(JobId),
}

impl crate::Refusal for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Self::NotNext { .. } => Kind::Invalid,
            Self::Importing(_) => Kind::Conflict,
        }
    }
}

/// The state: where somebody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Onboarding {
    /// Where.
    pub station: Station,
    /// The job of the last export.
    pub export: Option<JobId>,
}

impl Onboarding {
    fn moved(&self, to: Station) -> Vec<Event> {
        let news = self.station != to;
        news.then_some(Event::OnboardingStateChanged { state: to }).into_iter().collect()
    }
}

impl Decider for Onboarding {
    const CATEGORY: &'static str = "onboarding";
    type Id = UserId;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        use Station as S;
        let from = self.station;
        match *command {
            Command::Move { to, freely } => {
                match from == to || freely || from.next().contains(&to) {
                    true => Ok(self.moved(to)),
                    false => Err(Refusal::NotNext { from, to }),
                }
            }
            Command::Upload { job, file, instead_of } => match (from, self.export) {
                (S::Processing, Some(other)) if Some(other) != instead_of => {
                    Err(Refusal::Importing(other))
                }
                (S::DataCollection | S::Processing, _) => {
                    Ok(vec![Event::ExportUploaded { job, file }])
                }
                (S::ExtensionInstall | S::Complete, _) => {
                    Err(Refusal::NotNext { from, to: S::Processing })
                }
            },
            Command::Resume(job) if self.export == Some(job) && from == S::DataCollection => {
                Ok(self.moved(S::Processing))
            }
            Command::Finish { job, imported }
                if self.export == Some(job) && from == S::Processing =>
            {
                Ok(self.moved(if imported { S::Complete } else { S::DataCollection }))
            }
            // Somebody has gone elsewhere in the meantime, or sent another export.
            Command::Resume(_) | Command::Finish { .. } => Ok(vec![]),
        }
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::OnboardingStateChanged { state } => self.station = *state,
            Event::ExportUploaded { job, .. } => {
                (self.station, self.export) = (Station::Processing, Some(*job));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;
    use Station as S;
    use uuid::Uuid;

    const JOB: JobId = JobId(Uuid::from_u128(1));
    const OTHER: JobId = JobId(Uuid::from_u128(2));
    const FILE: UploadId = UploadId(Uuid::from_u128(3));

    fn at(state: Station) -> Event {
        Event::OnboardingStateChanged { state }
    }

    fn uploaded(job: JobId) -> Event {
        Event::ExportUploaded { job, file: FILE }
    }

    fn upload(job: JobId, instead_of: Option<JobId>) -> Command {
        Command::Upload { job, file: FILE, instead_of }
    }

    #[test]
    fn the_way_is_the_same_for_everybody_but_those_who_may_jump() {
        let mut allowed = 0;
        for (from, to) in S::ALL.into_iter().flat_map(|a| S::ALL.map(|b| (a, b))) {
            let there = || given::<Onboarding>([at(from)]);
            let moved = || Event::OnboardingStateChanged { state: to };
            let step = |freely| Command::Move { to, freely };
            if from == to {
                there().when(step(false)).then_nothing();
                continue;
            }
            there().when(step(true)).then([moved()]);
            if from.next().contains(&to) {
                allowed += 1;
                there().when(step(false)).then([moved()]);
            } else {
                there().when(step(false)).then_refused(Refusal::NotNext { from, to });
            }
        }
        assert_eq!(allowed, 4);
    }

    #[test]
    fn one_export_is_taken_in_at_a_time() {
        given::<Onboarding>([at(S::DataCollection)]).when(upload(JOB, None)).then([uploaded(JOB)]);
        given::<Onboarding>([at(S::Processing)]).when(upload(JOB, None)).then([uploaded(JOB)]);
        let running = || given::<Onboarding>([uploaded(JOB)]);
        running().when(upload(OTHER, None)).then_refused(Refusal::Importing(JOB));
        running().when(upload(OTHER, Some(JOB))).then([uploaded(OTHER)]);
        for from in [S::ExtensionInstall, S::Complete] {
            given::<Onboarding>([at(from)])
                .when(upload(JOB, None))
                .then_refused(Refusal::NotNext { from, to: S::Processing });
        }
    }

    #[test]
    fn the_job_that_took_it_in_moves_its_person_on_and_no_other_does() {
        let finish = |job, imported| Command::Finish { job, imported };
        given::<Onboarding>([uploaded(JOB)]).when(finish(JOB, true)).then([at(S::Complete)]);
        given::<Onboarding>([uploaded(JOB)]).when(finish(JOB, false)).then([at(S::DataCollection)]);
        given::<Onboarding>([uploaded(JOB)]).when(finish(OTHER, true)).then_nothing();
        let failed = || [uploaded(JOB), at(S::DataCollection)];
        given::<Onboarding>(failed()).when(finish(JOB, true)).then_nothing();
        given::<Onboarding>(failed()).when(Command::Resume(OTHER)).then_nothing();
        given::<Onboarding>(failed()).when(Command::Resume(JOB)).then([at(S::Processing)]);
        given::<Onboarding>([uploaded(JOB), at(S::Complete)])
            .when(Command::Resume(JOB))
            .then_nothing();
    }
}
