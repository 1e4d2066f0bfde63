//! Roles, and whether accounts work.
//!
//! The administrators' stream goes first: it is the only one that may say no, and it says so for all the people of one
//! request or for none.

use super::{Error, Identity, Result, accounts::refused};
use crate::execute;
use domain::{
    Metadata, Position,
    admins::{self, Admins, Everywhere},
    ids::UserId,
    user::{self, Account, Role, Status, User},
};

/// What people shall be; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What they may do.
    pub role: Option<Role>,
    /// Whether their accounts work.
    pub status: Option<Status>,
}

/// What came of it for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingChange {
    /// Who.
    pub user: UserId,
    /// What they were.
    pub previous_role: Role,
    /// What they are now.
    pub role: Role,
    /// Whether their account works now.
    pub status: Status,
    /// Whether anything was recorded.
    pub changed: bool,
}

impl Identity {
    /// Gives these people another role or status, all of them or none. What is so already is not recorded again.
    ///
    /// Also returns the position from which the read model `users` shows it.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] when one of them does not exist, [`Error::LastAdmin`] when nobody would be left to
    /// administer; or a failure of the log, after which a repeat completes what was begun.
    pub async fn set_standing(
        &self,
        users: &[UserId],
        standing: Standing,
        metadata: &Metadata,
    ) -> Result<(Vec<StandingChange>, Option<Position>)> {
        let before = self.admins().await?;
        let mut changes = Vec::with_capacity(users.len());
        for user in users {
            let account = self.account(user).await?;
            let role = before.role_of(user, &account);
            let status = before.status_of(user, &account);
            changes.push(StandingChange {
                user: user.clone(),
                previous_role: role,
                role: standing.role.unwrap_or(role),
                status: standing.status.unwrap_or(status),
                changed: false,
            });
        }
        let mut reached = None;
        let mut record = |changes: &mut Vec<StandingChange>, news: Vec<UserId>, at| {
            reached = reached.max(at);
            for change in changes.iter_mut().filter(|change| news.contains(&change.user)) {
                change.changed = true;
            }
        };
        // Whatever takes power away first, and all refusals before the first fact about a single person.
        for command in commands(users, standing) {
            let (news, at) = self.command_admins(command, metadata).await?;
            record(&mut changes, news, at);
        }
        for user in users {
            let at = self.settle(user, standing, metadata).await?;
            record(&mut changes, at.map(|_| user.clone()).into_iter().collect(), at);
        }
        if standing.role == Some(Role::Administrator) {
            let (news, at) = self.appoint_all(users, standing.status, metadata).await?;
            record(&mut changes, news, at);
        }
        if standing.status == Some(Status::Suspended) {
            // Who was appointed by somebody else in the meantime would work on.
            let again = admins::Command::Suspend(users.to_vec());
            let (news, at) = self.command_admins(again, metadata).await?;
            record(&mut changes, news, at);
        }
        Ok((changes, reached))
    }

    /// Lets these people administer.
    pub(super) async fn appoint(
        &self,
        users: &[UserId],
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        self.appoint_all(users, None, metadata).await.map(|(_, position)| position)
    }

    /// Lets this person administer no longer; they are what they were without it.
    pub(super) async fn dismiss(
        &self,
        user: &UserId,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        let command = admins::Command::Dismiss(vec![user.clone()]);
        self.command_admins(command, metadata).await.map(|(_, position)| position)
    }

    async fn appoint_all(
        &self,
        users: &[UserId],
        status: Option<Status>,
        metadata: &Metadata,
    ) -> Result<(Vec<UserId>, Option<Position>)> {
        let mut appointed = Vec::with_capacity(users.len());
        for user in users {
            let status = status.unwrap_or(self.account(user).await?.status);
            appointed.push((user.clone(), status));
        }
        self.command_admins(admins::Command::Appoint(appointed), metadata).await
    }

    /// The facts in the person's own stream; it has nothing to refuse to somebody who exists.
    async fn settle(
        &self,
        user: &UserId,
        standing: Standing,
        metadata: &Metadata,
    ) -> Result<Option<Position>> {
        // What somebody is without administering is not touched by an appointment.
        let role = standing.role.filter(|role| *role != Role::Administrator);
        let role = role.map(user::Command::ChangeRole);
        let status = standing.status.map(user::Command::ChangeStatus);
        let mut reached = None;
        for command in role.into_iter().chain(status) {
            let decided = self.execute::<User>(user, command, metadata).await.map_err(refused)?;
            reached = decided.position.or(reached);
        }
        Ok(reached)
    }

    async fn command_admins(
        &self,
        command: admins::Command,
        metadata: &Metadata,
    ) -> Result<(Vec<UserId>, Option<Position>)> {
        match self.execute::<Admins>(&Everywhere, command, metadata).await {
            Ok(decided) => Ok((decided.events.iter().map(whose).collect(), decided.position)),
            Err(execute::Error::Refused(admins::LastAdmin)) => Err(Error::LastAdmin),
            Err(execute::Error::Failed(failure)) => Err(failure.into()),
        }
    }

    /// What a person may do and whether their account works, all told.
    ///
    /// # Errors
    /// [`Error::UnknownUser`]; or a failure of the log.
    pub async fn standing_of(&self, user: &UserId) -> Result<(Account, Role, Status)> {
        let account = self.account(user).await?;
        let admins = self.admins().await?;
        let (role, status) = (admins.role_of(user, &account), admins.status_of(user, &account));
        Ok((account, role, status))
    }
}

/// What the administrators' stream has to hear of it before anything else.
fn commands(users: &[UserId], standing: Standing) -> Vec<admins::Command> {
    let dismissal = standing
        .role
        .filter(|role| *role != Role::Administrator)
        .map(|_| admins::Command::Dismiss(users.to_vec()));
    let status = standing.status.map(|status| match status {
        Status::Suspended => admins::Command::Suspend(users.to_vec()),
        Status::Active => admins::Command::Reinstate(users.to_vec()),
    });
    dismissal.into_iter().chain(status).collect()
}

fn whose(event: &admins::Event) -> UserId {
    match event {
        admins::Event::AdminAppointed { user, .. }
        | admins::Event::AdminDismissed { user }
        | admins::Event::AdminSuspended { user }
        | admins::Event::AdminReinstated { user } => user.clone(),
    }
}
