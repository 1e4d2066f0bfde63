use crate::world::{World, metadata, world};
use chrono::{DateTime, Utc};
use commands::{
    execute::execute,
    usage::{Charge, Error, Usage},
};
use domain::{
    billing::Tier,
    ids::UserId,
    quota::{Action, Refusal, TierLimits},
    user::{Command, Role, User},
};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn charge(user: &UserId) -> Charge {
    Charge {
        user: user.clone(),
        action: Action::PostCreations,
        amount: 1,
        reference: None,
        now: time("2026-11-21T12:00:00Z"),
    }
}

fn usage(world: &World) -> Usage {
    Usage::new(world.log.clone(), TierLimits::default())
}

async fn give_tier(world: &World, user: &UserId, tier: &str) {
    let command = Command::ChangeTier(Tier::named(tier));
    execute::<User>(&*world.log, user, &command, &metadata()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_at_once_with_three_left_three_succeed() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    // Two nodes: their locks know nothing of each other, the log decides.
    let nodes = [usage(&world), usage(&world)];
    let attempts = (0..50).map(|n| {
        let (node, charge) = (nodes[n % 2].clone(), charge(&ann));
        tokio::spawn(async move { node.charge(charge, &metadata()).await })
    });
    let mut succeeded = 0;
    for attempt in futures::future::join_all(attempts).await {
        match attempt.unwrap() {
            Ok(_) => succeeded += 1,
            Err(Error::Refused { refusal, plan }) => {
                assert!(matches!(refusal, Refusal::LimitReached { limit: 3, usage: 3, .. }));
                assert_eq!(plan.unwrap().tier, Tier::starter());
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(succeeded, 3);
    let charged = world.facts().await.into_iter().filter(|kind| kind == "UsageCharged");
    assert_eq!(charged.count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_work_without_a_limit_is_all_counted() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    give_tier(&world, &ann, "elite").await;
    let usage = usage(&world);
    let attempts = (0..100).map(|_| {
        let (usage, charge) = (usage.clone(), charge(&ann));
        tokio::spawn(async move { usage.charge(charge, &metadata()).await })
    });
    let all = futures::future::join_all(attempts).await;
    let most = all.into_iter().map(|done| done.unwrap().unwrap().usage).max();
    assert_eq!(most, Some(100));
}

#[tokio::test]
async fn a_new_tier_counts_at_once_and_keeps_what_was_used() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let usage = usage(&world);
    for _ in 0..3 {
        usage.charge(charge(&ann), &metadata()).await.unwrap();
    }
    assert!(usage.charge(charge(&ann), &metadata()).await.is_err());
    give_tier(&world, &ann, "creator").await;
    let charged = usage.charge(charge(&ann), &metadata()).await.unwrap();
    assert_eq!((charged.usage, charged.limit.remaining(charged.usage)), (4, 46));
    give_tier(&world, &ann, "starter").await;
    assert!(usage.charge(charge(&ann), &metadata()).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_determined_is_not_allowed() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    give_tier(&world, &ann, "platinum").await;
    for user in [ann, "a proxy's user".into()] {
        let refused = usage(&world).charge(charge(&user), &metadata()).await;
        let Err(Error::Refused { refusal, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal, Refusal::QuotaCheckFailed);
    }
}

#[tokio::test]
async fn a_repeated_reference_is_counted_once() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let mut work = charge(&ann);
    work.reference = Some("job-7".to_owned());
    let first = usage(&world).charge(work.clone(), &metadata()).await.unwrap();
    let again = usage(&world).charge(work, &metadata()).await.unwrap();
    assert_eq!((first.usage, again.usage), (1, 1));
    assert!(first.position.is_some() && again.position.is_none());
}
