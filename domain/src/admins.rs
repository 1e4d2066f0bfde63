//! Who administers. One stream for the whole installation, so that "at least one administrator can act" is decided in
//! one place: two administrators who demote each other at the same moment cannot both succeed.
//!
//! Membership here is what makes somebody an administrator; the role in a person's own stream is what they are without
//! it. Whether a member's account works is decided here too.

use crate::{
    Decider, Kind,
    ids::UserId,
    user::{Account, Role, Status},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What happened. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The person administers from now on.
    AdminAppointed {
        /// Who.
        user: UserId,
        /// Whether the account works.
        status: Status,
    },
    /// The person no longer administers.
    AdminDismissed {
        /// Who.
        user: UserId,
    },
    /// An administrator's account was suspended.
    AdminSuspended {
        /// Whose.
        user: UserId,
    },
    /// An administrator's account works again.
    AdminReinstated {
        /// Whose.
        user: UserId,
    },
}

/// What somebody wants; all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let these people administer; with whether each one's account works.
    Appoint(Vec<(UserId, Status)>),
    /// Let these people administer no longer.
    Dismiss(Vec<UserId>),
    /// Suspend those of these people who administer.
    Suspend(Vec<UserId>),
    /// Let the accounts of those of these people who administer work again.
    Reinstate(Vec<UserId>),
}

/// Nobody would be left to administer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the last administrator has to stay")]
pub struct LastAdmin;

impl crate::Refusal for LastAdmin {
    fn kind(&self) -> Kind {
        Kind::Conflict
    }
}

/// The one installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Everywhere;

impl fmt::Display for Everywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("all")
    }
}

/// The administrators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admins {
    members: BTreeMap<UserId, Status>,
}

impl Admins {
    /// Whether anybody administers.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether this person administers.
    pub fn contains(&self, user: &UserId) -> bool {
        self.members.contains_key(user)
    }

    /// What this person may do, all told.
    pub fn role_of(&self, user: &UserId, account: &Account) -> Role {
        effective_role(self.contains(user), account.role)
    }

    /// Whether this person's account works, all told.
    pub fn status_of(&self, user: &UserId, account: &Account) -> Status {
        self.members.get(user).copied().unwrap_or(account.status)
    }

    fn changes(&self, command: &Command) -> Vec<Event> {
        let member = |user: &&UserId| self.contains(user);
        let with = |status: Status| {
            move |user: &&UserId| self.members.get(*user).is_some_and(|now| *now == status)
        };
        match command {
            Command::Appoint(users) => users
                .iter()
                .filter(|(user, _)| !self.contains(user))
                .map(|(user, status)| Event::AdminAppointed { user: user.clone(), status: *status })
                .collect(),
            Command::Dismiss(users) => users
                .iter()
                .filter(member)
                .map(|user| Event::AdminDismissed { user: user.clone() })
                .collect(),
            Command::Suspend(users) => users
                .iter()
                .filter(with(Status::Active))
                .map(|user| Event::AdminSuspended { user: user.clone() })
                .collect(),
            Command::Reinstate(users) => users
                .iter()
                .filter(with(Status::Suspended))
                .map(|user| Event::AdminReinstated { user: user.clone() })
                .collect(),
        }
    }

    fn somebody_acts(&self) -> bool {
        self.members.values().any(|status| *status == Status::Active)
    }
}

/// What somebody may do who administers or not, and who is `role` otherwise. Somebody registered as an administrator but
/// not appointed (yet) may do the least.
pub fn effective_role(administers: bool, role: Role) -> Role {
    match (administers, role) {
        (true, _) => Role::Administrator,
        (false, Role::Administrator) => Role::Viewer,
        (false, role) => role,
    }
}

impl Decider for Admins {
    const CATEGORY: &'static str = "admins";
    type Id = Everywhere;
    type Command = Command;
    type Event = Event;
    type Refusal = LastAdmin;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, LastAdmin> {
        let events = self.changes(command);
        let after = events.iter().fold(self.clone(), |admins, event| admins.evolve(event));
        if self.somebody_acts() && !after.somebody_acts() {
            return Err(LastAdmin);
        }
        Ok(events)
    }

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::AdminAppointed { user, status } => {
                self.members.insert(user.clone(), *status);
            }
            Event::AdminDismissed { user } => {
                self.members.remove(user);
            }
            Event::AdminSuspended { user } => {
                self.members.entry(user.clone()).and_modify(|status| *status = Status::Suspended);
            }
            Event::AdminReinstated { user } => {
                self.members.entry(user.clone()).and_modify(|status| *status = Status::Active);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn appointed(user: &str) -> Event {
        Event::AdminAppointed { user: user.into(), status: Status::Active }
    }

    fn dismissed(user: &str) -> Event {
        Event::AdminDismissed { user: user.into() }
    }

    fn suspended(user: &str) -> Event {
        Event::AdminSuspended { user: user.into() }
    }

    fn appoint(user: &str) -> Command {
        Command::Appoint(vec![(user.into(), Status::Active)])
    }

    fn users(names: &[&str]) -> Vec<UserId> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn the_first_administrator_is_appointed() {
        given::<Admins>([]).when(appoint("ann")).then([appointed("ann")]);
    }

    #[test]
    fn the_last_one_stays() {
        given::<Admins>([appointed("ann")])
            .when(Command::Dismiss(users(&["ann"])))
            .then_refused(LastAdmin);
        given::<Admins>([appointed("ann")])
            .when(Command::Suspend(users(&["ann"])))
            .then_refused(LastAdmin);
    }

    #[test]
    fn one_of_two_may_go() {
        given::<Admins>([appointed("ann"), appointed("bob")])
            .when(Command::Dismiss(users(&["ann"])))
            .then([dismissed("ann")]);
    }

    #[test]
    fn both_at_once_may_not() {
        given::<Admins>([appointed("ann"), appointed("bob")])
            .when(Command::Dismiss(users(&["ann", "bob"])))
            .then_refused(LastAdmin);
    }

    #[test]
    fn a_suspended_administrator_is_nobody_to_rely_on() {
        given::<Admins>([appointed("ann"), appointed("bob"), suspended("bob")])
            .when(Command::Dismiss(users(&["ann"])))
            .then_refused(LastAdmin);
    }

    #[test]
    fn a_suspended_administrator_comes_back_as_one() {
        given::<Admins>([appointed("ann"), appointed("bob"), suspended("bob")])
            .when(Command::Reinstate(users(&["ann", "bob"])))
            .then([Event::AdminReinstated { user: "bob".into() }]);
    }

    #[test]
    fn other_people_are_none_of_this_streams_business() {
        for command in [
            Command::Dismiss(users(&["cid"])),
            Command::Suspend(users(&["cid"])),
            Command::Reinstate(users(&["cid"])),
            appoint("ann"),
        ] {
            given::<Admins>([appointed("ann")]).when(command).then_nothing();
        }
    }

    #[test]
    fn whoever_was_only_registered_as_an_administrator_may_do_the_least() {
        assert_eq!(effective_role(false, Role::Administrator), Role::Viewer);
        assert_eq!(effective_role(true, Role::Creator), Role::Administrator);
        assert_eq!(effective_role(false, Role::Creator), Role::Creator);
    }
}
