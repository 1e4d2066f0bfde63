#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::{billing::Period, testing::given};
use chrono::DateTime;
use uuid::Uuid;

fn secret(n: u128) -> SecretId {
    SecretId(Uuid::from_u128(n))
}

fn login(n: u128) -> LoginId {
    LoginId(Uuid::from_u128(n))
}

fn registered() -> Event {
    Event::UserRegistered {
        username: Username::parse("ann", None).unwrap(),
        email: Some(EmailAddress::parse("ann@example.org").unwrap()),
        phone: None,
        role: Role::Creator,
    }
}

fn password(n: u128) -> Event {
    Event::PasswordChanged { secret: secret(n), kept_login: None }
}

fn register() -> Command {
    Command::Register {
        username: Username::parse("ann", None).unwrap(),
        email: Some(EmailAddress::parse("ann@example.org").unwrap()),
        phone: None,
        role: Role::Creator,
        secret: Some(secret(1)),
    }
}

fn change_password(to: u128, checked: Option<u128>) -> Command {
    Command::ChangePassword {
        secret: secret(to),
        kept_login: Some(login(9)),
        checked: checked.map(secret),
    }
}

fn account(events: impl IntoIterator<Item = Event>) -> Account {
    let user = events.into_iter().fold(User::default(), |user, event| user.evolve(&event));
    user.account().unwrap().clone()
}

#[test]
fn registration_brings_a_person_and_a_password() {
    given::<User>([]).when(register()).then([registered(), password(1)]);
}

#[test]
fn nobody_registers_twice() {
    given::<User>([registered()]).when(register()).then_refused(Refusal::Settled);
}

#[test]
fn an_abandoned_registration_is_never_completed() {
    given::<User>([]).when(Command::Abandon).then([Event::RegistrationAbandoned {}]);
    given::<User>([Event::RegistrationAbandoned {}])
        .when(register())
        .then_refused(Refusal::Settled);
}

#[test]
fn a_completed_registration_cannot_be_abandoned() {
    given::<User>([registered()]).when(Command::Abandon).then_refused(Refusal::Settled);
}

#[test]
fn a_new_password_starts_a_new_generation_and_keeps_one_login() {
    let changed = Event::PasswordChanged { secret: secret(2), kept_login: Some(login(9)) };
    given::<User>([registered(), password(1)])
        .when(change_password(2, Some(1)))
        .then([changed.clone()]);
    let account = account([registered(), password(1), changed]);
    assert_eq!((account.generation, account.kept_login), (2, Some(login(9))));
}

#[test]
fn a_password_checked_against_an_older_one_is_not_set() {
    given::<User>([registered(), password(1), password(2)])
        .when(change_password(3, Some(1)))
        .then_refused(Refusal::PasswordSuperseded);
}

#[test]
fn an_administrator_sets_a_password_without_the_old_one() {
    given::<User>([registered(), password(1)])
        .when(change_password(2, None))
        .then([Event::PasswordChanged { secret: secret(2), kept_login: Some(login(9)) }]);
}

#[test]
fn what_is_so_already_changes_nothing() {
    for command in [
        Command::ChangeRole(Role::Creator),
        Command::ChangeStatus(Status::Active),
        Command::ChangeTier(Tier::starter()),
        Command::RevokeApiToken("aa".to_owned()),
    ] {
        given::<User>([registered()]).when(command).then_nothing();
    }
}

#[test]
fn role_and_status_change() {
    given::<User>([registered()])
        .when(Command::ChangeRole(Role::Viewer))
        .then([Event::RoleChanged { role: Role::Viewer }]);
    given::<User>([registered()])
        .when(Command::ChangeStatus(Status::Suspended))
        .then([Event::StatusChanged { status: Status::Suspended }]);
}

#[test]
fn another_tier_keeps_the_cycle() {
    let subscription = Subscription { period: Period::Annual, start: DateTime::UNIX_EPOCH };
    let account = account([
        registered(),
        Event::SubscriptionChanged { tier: Tier::named("pro"), subscription },
        Event::TierChanged { tier: Tier::named("studio") },
    ]);
    assert_eq!(account.tier, Tier::named("studio"));
    assert_eq!(account.subscription, Some(subscription));
}

#[test]
fn a_revoked_token_is_gone() {
    let digest = || "aa".to_owned();
    let issued = Event::ApiTokenIssued { digest: digest() };
    let revoked = Event::ApiTokenRevoked { digest: digest() };
    given::<User>([registered()]).when(Command::IssueApiToken(digest())).then([issued.clone()]);
    given::<User>([registered(), issued.clone()])
        .when(Command::RevokeApiToken(digest()))
        .then([revoked.clone()]);
    assert!(account([registered(), issued, revoked]).api_tokens.is_empty());
}

#[test]
fn tokens_are_bounded() {
    let issued = (0..MOST_API_TOKENS).map(|n| Event::ApiTokenIssued { digest: n.to_string() });
    given::<User>([registered()].into_iter().chain(issued))
        .when(Command::IssueApiToken("one more".to_owned()))
        .then_refused(Refusal::TooManyApiTokens);
}

#[test]
fn nobody_and_abandoned_registrations_have_nothing_to_change() {
    given::<User>([]).when(Command::ChangeRole(Role::Viewer)).then_refused(Refusal::Unknown);
    given::<User>([Event::RegistrationAbandoned {}])
        .when(Command::ChangeStatus(Status::Suspended))
        .then_refused(Refusal::Unknown);
}

#[test]
fn whoever_logs_in_elsewhere_has_no_password() {
    let Command::Register { username, email, phone, role, .. } = register() else { panic!() };
    let elsewhere = Command::Register { username, email, phone, role, secret: None };
    given::<User>([]).when(elsewhere).then([registered()]);
    assert_eq!(account([registered()]).password, None);
}

#[test]
fn the_deleted_are_nobody_for_good() {
    given::<User>([registered(), password(1)]).when(Command::Delete).then([Event::UserDeleted {}]);
    let gone = || given::<User>([registered(), password(1), Event::UserDeleted {}]);
    gone().when(Command::Delete).then_refused(Refusal::Unknown);
    gone().when(register()).then_refused(Refusal::Settled);
    gone().when(Command::ChangeRole(Role::Viewer)).then_refused(Refusal::Unknown);
    // Whoever wants the names may have them.
    gone().when(Command::Abandon).then_nothing();
    given::<User>([]).when(Command::Delete).then_refused(Refusal::Unknown);
}
