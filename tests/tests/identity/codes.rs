use crate::world::{secret, world};
use chrono::{TimeDelta, Utc};
use commands::effects::codes::{CodeError, Codes, RETRY_AFTER, VALID_FOR};
use domain::user::EmailAddress;
use std::time::Duration;

fn ann() -> EmailAddress {
    EmailAddress::parse("ann@example.org").unwrap()
}

#[tokio::test]
async fn the_right_code_is_right_also_after_a_restart() {
    let world = world().await;
    let now = Utc::now();
    let codes = || Codes::new(world.pool.clone(), world.keys.clone());
    let code = codes().issue(&ann(), now).await.unwrap();
    assert_eq!(code.expose().len(), 6);
    assert!(codes().verify(&ann(), &code, now).await.unwrap());
    codes().forget(&ann()).await.unwrap();
    assert!(!codes().verify(&ann(), &code, now).await.unwrap());
}

#[tokio::test]
async fn a_code_ends_with_its_time() {
    let world = world().await;
    let codes = Codes::new(world.pool.clone(), world.keys.clone());
    let now = Utc::now();
    let code = codes.issue(&ann(), now).await.unwrap();
    assert!(!codes.verify(&ann(), &code, now + VALID_FOR).await.unwrap());
}

#[tokio::test]
async fn five_guesses_end_a_code() {
    let world = world().await;
    let codes = Codes::new(world.pool.clone(), world.keys.clone());
    let now = Utc::now();
    let code = codes.issue(&ann(), now).await.unwrap();
    for _ in 0..5 {
        assert!(!codes.verify(&ann(), &secret("guess"), now).await.unwrap());
    }
    assert!(!codes.verify(&ann(), &code, now).await.unwrap());
}

#[tokio::test]
async fn the_next_code_comes_after_half_a_minute_and_replaces_the_first() {
    let world = world().await;
    let codes = Codes::new(world.pool.clone(), world.keys.clone());
    let now = Utc::now();
    let first = codes.issue(&ann(), now).await.unwrap();
    let soon = codes.issue(&ann(), now + TimeDelta::seconds(10)).await;
    let Err(CodeError::TooSoon(wait)) = soon else { panic!("not refused") };
    // The database keeps microseconds.
    assert!(wait.abs_diff(Duration::from_secs(20)) < Duration::from_millis(1));
    let second = codes.issue(&ann(), now + RETRY_AFTER).await.unwrap();
    if first.expose() != second.expose() {
        assert!(!codes.verify(&ann(), &first, now + RETRY_AFTER).await.unwrap());
    }
    assert!(codes.verify(&ann(), &second, now + RETRY_AFTER).await.unwrap());
}
