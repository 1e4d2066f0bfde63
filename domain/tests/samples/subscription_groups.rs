//! Persistent subscriptions: what they are, what they set aside, how far they are.

use super::stored;
use crate::Stored;
use annals_domain::{
    Revision,
    subscription_group::{
        self, GroupId, Groups, Name,
        checkpoint::{self, Checkpoint},
        parked::{self, Origin, Parked},
        settings::{Filter, Settings, Start, Strategy},
    },
};
use anyhow::Result;
use uuid::Uuid;

const GROUP: GroupId = GroupId(Uuid::from_u128(31));

pub fn all() -> Result<Vec<Stored>> {
    use parked::Event as Aside;
    use subscription_group::Event as Of;
    let name = Name { source: "$all".to_owned(), group: "billing".to_owned() };
    let prefixes = vec!["order-".to_owned()];
    let filter = Some(Filter { on_type: false, regex: String::new(), prefixes });
    let with = |strategy, filter| Settings { strategy, filter, ..Settings::default() };
    let created = |strategy, start| Of::SubscriptionGroupCreated {
        id: GROUP,
        name: name.clone(),
        settings: with(strategy, filter.clone()),
        start,
    };
    let mut all = stored!(Groups, subscription_group::Event;
        SubscriptionGroupCreated => [
            created(Strategy::RoundRobin, Start::Beginning),
            created(Strategy::Pinned, Start::At(7)),
            created(Strategy::PinnedByCorrelation, Start::After(9)),
        ],
        SubscriptionGroupChanged => [Of::SubscriptionGroupChanged {
            id: GROUP,
            settings: with(Strategy::DispatchToSingle, None),
            start: Start::Beginning,
        }],
        SubscriptionGroupDeleted => [Of::SubscriptionGroupDeleted { id: GROUP }],
    );
    let message = Origin { place: 7, stream: "order-1".parse()?, revision: Revision(3) };
    all.extend(stored!(Parked, parked::Event;
        SubscriptionMessageParked => [Aside::SubscriptionMessageParked {
            number: 0,
            message,
            reason: "no such customer".to_owned(),
        }],
        ParkedMessagesReplayed => [Aside::ParkedMessagesReplayed { before: 1 }],
        ReplayedMessagesSettled => [Aside::ReplayedMessagesSettled { numbers: vec![0] }],
    ));
    all.extend(stored!(Checkpoint, checkpoint::Event;
        SubscriptionCheckpointed => [checkpoint::Event::SubscriptionCheckpointed { place: 7 }],
    ));
    Ok(all)
}
