//! Runs of apps: the steps of a definition, each when what it waits for is done.
//!
//! A run of an app is a run like any other: recorded before it is sent, performed under a lease, taken over when its
//! performer dies. What a step says is stitched together from its pieces by the rule that clients use, so that what is
//! stored, what is answered and what a reader of the stream puts together is the same.

mod agent;
mod begin;
pub mod catalogue;
pub mod data_url;
mod lines;
mod nested;
mod outcome;
pub(crate) mod perform;
mod steps;
pub mod template;
mod work;

pub use begin::{RunError, Wish, begin};
pub use outcome::{Finished, Outlook, outcome};

use crate::{
    datasources::DatasourceSearch,
    effects::{
        extract::reader::Reader,
        fetch::{Fetcher, Reach},
        vault::Vault,
    },
};
use std::sync::Arc;

/// What is told of a run that somebody stopped.
pub const STOPPED: &str = "The run was stopped";

/// What the steps of apps work with, besides models.
#[derive(Clone)]
pub struct Workshop {
    /// Calls URLs and follows redirects.
    following: Fetcher,
    /// Calls URLs and follows none.
    direct: Fetcher,
    /// Reads files.
    reader: Reader,
    /// Keeps what definitions and inputs do not say in the log.
    vault: Vault,
    /// Searches datasources.
    datasources: Arc<dyn DatasourceSearch>,
}

impl Workshop {
    /// A workshop whose URLs, those in definitions and inputs, may lead this far.
    pub fn new(
        reach: Reach,
        reader: Reader,
        vault: Vault,
        datasources: Arc<dyn DatasourceSearch>,
    ) -> Self {
        let (following, direct) = (Fetcher::new(reach), Fetcher::undirected(reach));
        Self { following, direct, reader, vault, datasources }
    }
}
