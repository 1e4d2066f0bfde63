use crate::world::{World, metadata, secret, world};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{
    execute::execute,
    identity::{OpenedLogin, Standing},
    usage::{Charge, Usage},
};
use domain::{
    billing::{Cycle, Period, Subscription, Tier},
    ids::{LoginId, UserId},
    login::{Audience, CloseReason},
    quota::{Action, TierLimits},
    user::{Command, Role, Status, User},
};
use projections::{
    logins::{self, Logins, Session},
    usage,
    users::{self, Users},
};
use std::collections::BTreeMap;

async fn login(world: &World, password: &str) -> OpenedLogin {
    let who = world.identity.authenticate("ann", &secret(password)).await.unwrap();
    let ends = Utc::now() + TimeDelta::days(14);
    world.identity.open_login(&who, Audience::Sage, ends, &metadata()).await.unwrap()
}

async fn session(world: &World, login: LoginId) -> Option<Session> {
    world.fold(&Users).await;
    world.fold(&Logins).await;
    logins::session(&world.pool, login).await.unwrap()
}

async fn standing(world: &World, user: &UserId, to: Standing) {
    world.identity.set_standing(std::slice::from_ref(user), to, &metadata()).await.unwrap();
}

#[tokio::test]
async fn a_login_shows_the_person_as_they_are_now() {
    let world = world().await;
    world.given("root", Role::Administrator).await;
    let ann = world.given("ann", Role::Creator).await;
    let login = login(&world, "first password").await;
    let found = session(&world, login.login).await.unwrap();
    assert_eq!(
        (found.person.id, found.person.role, found.open),
        (ann.clone(), Role::Creator, true)
    );
    assert_eq!(found.person.email.as_deref(), Some("ann@example.org"));
    let (_, cookie) = OpenedLogin::parse_cookie(login.cookie.expose()).unwrap();
    assert_eq!(found.digest, cookie.digest());

    for role in [Role::Viewer, Role::Administrator] {
        standing(&world, &ann, Standing { role: Some(role), status: None }).await;
        assert_eq!(session(&world, login.login).await.unwrap().person.role, role);
    }
    let suspended = Standing { role: None, status: Some(Status::Suspended) };
    standing(&world, &ann, suspended).await;
    assert_eq!(session(&world, login.login).await.unwrap().person.status, Status::Suspended);
}

#[tokio::test]
async fn a_closed_login_is_not_open() {
    let world = world().await;
    world.given("ann", Role::Creator).await;
    let login = login(&world, "first password").await.login;
    world.identity.close_login(login, CloseReason::SignedOut, &metadata()).await.unwrap();
    assert!(!session(&world, login).await.unwrap().open);
}

#[tokio::test]
async fn expired_logins_are_forgotten_with_the_next_one() {
    let world = world().await;
    world.given("ann", Role::Creator).await;
    let who = world.identity.authenticate("ann", &secret("first password")).await.unwrap();
    let ends = Utc::now() - TimeDelta::days(1);
    let old = world.identity.open_login(&who, Audience::Sage, ends, &metadata()).await.unwrap();
    assert!(session(&world, old.login).await.is_some());
    let new = login(&world, "first password").await;
    assert!(session(&world, old.login).await.is_none());
    assert!(session(&world, new.login).await.is_some());
}

#[tokio::test]
async fn a_new_password_ends_all_logins_but_the_one_it_was_set_from() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let (here, elsewhere) =
        (login(&world, "first password").await.login, login(&world, "first password").await.login);
    let change = async |old: &str, new: &str, kept| {
        let (old, new) = (secret(old), secret(new));
        world.identity.change_password(&ann, &old, &new, Some(kept), &metadata()).await.unwrap()
    };
    change("first password", "second", here).await;
    assert!(session(&world, here).await.unwrap().open);
    assert!(!session(&world, elsewhere).await.unwrap().open);
    let later = login(&world, "second").await.login;
    assert!(session(&world, later).await.unwrap().open);
    change("second", "third", later).await;
    assert!(!session(&world, here).await.unwrap().open);
    assert!(session(&world, later).await.unwrap().open);
}

#[tokio::test]
async fn a_token_finds_its_person_until_it_is_revoked() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let (token, _) = world.identity.issue_api_token(&ann, &metadata()).await.unwrap();
    world.fold(&Users).await;
    let found = users::by_api_token(&world.pool, &token.digest()).await.unwrap();
    assert_eq!(found.unwrap().id, ann);
    let revoke = Command::RevokeApiToken(token.digest());
    execute::<User>(&*world.log, &ann, &revoke, &metadata()).await.unwrap();
    world.fold(&Users).await;
    assert_eq!(users::by_api_token(&world.pool, &token.digest()).await.unwrap(), None);
}

#[tokio::test]
async fn subscriptions_show() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let subscription = Subscription { period: Period::Annual, start: DateTime::UNIX_EPOCH };
    let command = Command::ChangeSubscription(Tier::named("pro"), subscription);
    execute::<User>(&*world.log, &ann, &command, &metadata()).await.unwrap();
    world.fold(&Users).await;
    let found = users::by_id(&world.pool, &ann).await.unwrap().unwrap();
    assert_eq!((found.tier, found.subscription), (Tier::named("pro"), Some(subscription)));
    assert_eq!(users::by_id(&world.pool, &"nobody".into()).await.unwrap(), None);
}

#[tokio::test]
async fn usage_adds_up_within_a_cycle() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let service = Usage::new(world.log.clone(), TierLimits::default());
    let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
    let earlier = now - TimeDelta::days(30);
    for (action, amount, now) in [
        (Action::PostCreations, 1, earlier),
        (Action::PostCreations, 1, now),
        (Action::PostCreations, 2, now),
        (Action::TaxonomyTags, 5, now),
    ] {
        let charge = Charge { user: ann.clone(), action, amount, reference: None, now };
        service.charge(charge, &metadata()).await.unwrap();
    }
    world.fold(&usage::Usage).await;
    let cycle = Cycle::at(now, None).unwrap();
    let used = usage::since(&world.pool, &ann, cycle.start, Utc::now()).await.unwrap();
    assert_eq!(used, BTreeMap::from([(Action::PostCreations, 3), (Action::TaxonomyTags, 5)]));
}
