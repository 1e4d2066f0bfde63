//! Reserving names that only one may have, for whatever bears names.

use crate::{
    execute::{self, Error, Failure, Loaded},
    log::EventLog,
};
use domain::{
    Decider, Metadata,
    name::{self, Name, NameHash, Namespace},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a name is taken over from holders that are gone, before it counts as taken.
const TAKEOVERS: usize = 3;
/// How long a holder that has reserved a name may take to come to be, before its creation counts as dead. Without this
/// patience two creations at the same moment would each take the other for one that crashed, and neither would come to be.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait before looking again whether a holder has come to be.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whether the name is the holder's now. A name is reserved before its holder's first event is written; one whose holder
/// never came that far, or is gone, is taken over: so names need no release.
///
/// `give_way` makes a holder of type `D` give up the name; it is refused by one that bears it.
///
/// # Errors
/// When the log fails.
pub async fn reserve<N, D>(
    log: &dyn EventLog,
    name: &NameHash,
    holder: &N::Holder,
    give_way: &D::Command,
    metadata: &Metadata,
) -> Result<bool, Failure>
where
    N: Namespace,
    D: Decider<Id = N::Holder>,
{
    let mut instead_of = None;
    for _ in 0..TAKEOVERS {
        let command = name::Command::Reserve { holder: holder.clone(), instead_of };
        let current = match execute::execute::<Name<N>>(log, name, &command, metadata).await {
            Ok(_) => return Ok(true),
            Err(Error::Failed(failure)) => return Err(failure),
            Err(Error::Refused(taken)) => taken.holder,
        };
        wait_for::<D>(log, &current).await?;
        match execute::execute::<D>(log, &current, give_way, metadata).await {
            Ok(_) => instead_of = Some(current),
            Err(Error::Refused(_)) => return Ok(false),
            Err(Error::Failed(failure)) => return Err(failure),
        }
    }
    Ok(false)
}

/// Waits until the stream of `id` has an event, or patience is at an end.
async fn wait_for<D: Decider>(log: &dyn EventLog, id: &D::Id) -> Result<(), Failure> {
    let given_up = Instant::now() + PATIENCE;
    while Loaded::<D>::load(log, id).await?.revision().is_none() && Instant::now() < given_up {
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
