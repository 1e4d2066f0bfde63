use crate::world::{World, metadata, secret, world};
use commands::identity::{Error, Result, Standing, StandingChange};
use domain::{
    ids::UserId,
    user::{Role, Status},
};

fn role(role: Role) -> Standing {
    Standing { role: Some(role), status: None }
}

fn status(status: Status) -> Standing {
    Standing { role: None, status: Some(status) }
}

async fn set(world: &World, users: &[&UserId], to: Standing) -> Result<Vec<StandingChange>> {
    let users: Vec<_> = users.iter().map(|&user| user.clone()).collect();
    Ok(world.identity.set_standing(&users, to, &metadata()).await?.0)
}

async fn now(world: &World, user: &UserId) -> (Role, Status) {
    let (_, role, status) = world.identity.standing_of(user).await.unwrap();
    (role, status)
}

#[tokio::test]
async fn a_role_given_twice_is_recorded_once() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let changes = set(&world, &[&ann], role(Role::Viewer)).await.unwrap();
    let expected = StandingChange {
        user: ann.clone(),
        previous_role: Role::Creator,
        role: Role::Viewer,
        status: Status::Active,
        changed: true,
    };
    assert_eq!(changes, [expected]);
    let before = world.facts().await;
    let again = set(&world, &[&ann], role(Role::Viewer)).await.unwrap();
    assert!(!again[0].changed && again[0].previous_role == Role::Viewer);
    assert_eq!(world.facts().await, before);
}

#[tokio::test]
async fn the_last_administrator_stays_and_nothing_is_recorded() {
    let world = world().await;
    let ann = world.given("ann", Role::Administrator).await;
    let bob = world.given("bob", Role::Creator).await;
    let before = world.facts().await;
    for standing in [role(Role::Viewer), status(Status::Suspended)] {
        let refused = set(&world, &[&bob, &ann], standing).await;
        assert!(matches!(refused, Err(Error::LastAdmin)));
    }
    assert_eq!(world.facts().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_cannot_demote_each_other_at_once() {
    for _ in 0..10 {
        let world = world().await;
        let ann = world.given("ann", Role::Administrator).await;
        let bob = world.given("bob", Role::Administrator).await;
        let attempts = [(&ann, role(Role::Viewer)), (&bob, status(Status::Suspended))];
        let attempts = attempts.map(|(user, to)| {
            let (identity, users) = (world.identity.clone(), [user.clone()]);
            tokio::spawn(async move { identity.set_standing(&users, to, &metadata()).await })
        });
        let outcomes = futures::future::join_all(attempts).await;
        let succeeded = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_ok());
        assert_eq!(succeeded.count(), 1);
        let acting = [now(&world, &ann).await, now(&world, &bob).await];
        assert!(acting.contains(&(Role::Administrator, Status::Active)));
    }
}

#[tokio::test]
async fn somebody_unknown_among_them_stops_everything() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let before = world.facts().await;
    let refused = set(&world, &[&ann, &"nobody".into()], role(Role::Viewer)).await;
    assert!(matches!(refused, Err(Error::UnknownUser)));
    assert_eq!(world.facts().await, before);
}

#[tokio::test]
async fn a_dismissed_administrator_is_what_they_were_made() {
    let world = world().await;
    world.given("ann", Role::Administrator).await;
    let bob = world.given("bob", Role::Viewer).await;
    set(&world, &[&bob], role(Role::Administrator)).await.unwrap();
    assert_eq!(now(&world, &bob).await, (Role::Administrator, Status::Active));
    set(&world, &[&bob], role(Role::Creator)).await.unwrap();
    assert_eq!(now(&world, &bob).await, (Role::Creator, Status::Active));
}

#[tokio::test]
async fn whoever_is_suspended_cannot_sign_in_until_they_are_back() {
    let world = world().await;
    world.given("ann", Role::Administrator).await;
    for (name, is) in [("bob", Role::Creator), ("cid", Role::Administrator)] {
        let user = world.given(name, is).await;
        set(&world, &[&user], status(Status::Suspended)).await.unwrap();
        let refused = world.identity.authenticate(name, &secret("first password")).await;
        assert!(matches!(refused, Err(Error::Suspended)));
        set(&world, &[&user], status(Status::Active)).await.unwrap();
        let back = world.identity.authenticate(name, &secret("first password")).await.unwrap();
        assert_eq!(back.role, is);
    }
}

#[tokio::test]
async fn a_suspended_person_made_administrator_stays_suspended() {
    let world = world().await;
    world.given("ann", Role::Administrator).await;
    let bob = world.given("bob", Role::Creator).await;
    set(&world, &[&bob], status(Status::Suspended)).await.unwrap();
    set(&world, &[&bob], role(Role::Administrator)).await.unwrap();
    assert_eq!(now(&world, &bob).await, (Role::Administrator, Status::Suspended));
}
