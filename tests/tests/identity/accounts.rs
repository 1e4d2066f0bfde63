use crate::world::{metadata, registration, secret, username_hash, world};
use chrono::{TimeDelta, Utc};
use commands::{
    execute::execute,
    identity::{Error, OpenedLogin, mint_user_id},
};
use domain::{
    ids::SecretId,
    login::{Audience, CloseReason},
    name::{self, Name, Usernames},
    user::{self, EmailAddress, Role, User, Username},
};
use uuid::Uuid;

#[tokio::test]
async fn a_person_signs_in_by_name_or_address_with_the_password_only() {
    let world = world().await;
    let ann = world.given("Ann", Role::Creator).await;
    for name in ["Ann", "ann@example.org", " ANN@Example.org"] {
        let who = world.identity.authenticate(name, &secret("first password")).await.unwrap();
        assert_eq!((who.user, who.role), (ann.clone(), Role::Creator), "{name}");
    }
    for (name, password) in
        [("Ann", "second password"), ("ann", "first password"), ("bob", "first password")]
    {
        let refused = world.identity.authenticate(name, &secret(password)).await;
        assert!(matches!(refused, Err(Error::BadCredentials)), "{name}");
    }
}

#[tokio::test]
async fn names_and_addresses_are_unique_in_any_case() {
    let world = world().await;
    world.given("Ann", Role::Creator).await;
    let refused = world.register(registration("aNN", Role::Creator)).await;
    assert!(matches!(refused, Err(Error::UsernameTaken)));
    let mut bob = registration("bob", Role::Creator);
    bob.email = Some(EmailAddress::parse("ANN@example.org").unwrap());
    assert!(matches!(world.register(bob).await, Err(Error::EmailTaken)));
    world.given("bob", Role::Creator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_who_want_one_name_at_once_exactly_one_gets_it() {
    let world = world().await;
    let attempts = (0..20).map(|n| {
        let mut wanted = registration("ann", Role::Creator);
        wanted.email = EmailAddress::parse(&format!("ann{n}@example.org")).ok();
        let identity = world.identity.clone();
        tokio::spawn(async move { identity.register(wanted, &metadata()).await })
    });
    let mut winners = Vec::new();
    for attempt in futures::future::join_all(attempts).await {
        match attempt.unwrap() {
            Ok(registered) => winners.push(registered.user),
            Err(error) => assert!(matches!(error, Error::UsernameTaken), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let (holder, _) = world.identity.named("ann").await.unwrap().unwrap();
    assert_eq!(holder, winners[0]);
    let registered = world.facts().await.into_iter().filter(|kind| kind == "UserRegistered");
    assert_eq!(registered.count(), 1);
}

#[tokio::test]
async fn a_name_reserved_by_a_registration_that_crashed_is_free() {
    let world = world().await;
    let lost = mint_user_id();
    let reserve = name::Command::Reserve { holder: lost.clone(), instead_of: None };
    let hash = username_hash("ann");
    execute::<Name<Usernames>>(&*world.log, &hash, &reserve, &metadata()).await.unwrap();
    world.given("ann", Role::Creator).await;
    // The registration that was believed dead, and only slow, cannot come back.
    let mut slow = registration("ann", Role::Creator);
    slow.user = lost;
    assert!(matches!(world.register(slow).await, Err(Error::UsernameTaken)));
}

#[tokio::test]
async fn nothing_secret_and_no_plain_name_in_stream_names() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let who = world.identity.authenticate("ann", &secret("first password")).await.unwrap();
    let ends = Utc::now() + TimeDelta::days(14);
    let login = world.identity.open_login(&who, Audience::Sage, ends, &metadata()).await.unwrap();
    let (token, _) = world.identity.issue_api_token(&ann, &metadata()).await.unwrap();
    let text = world.log_text().await;
    let (_, cookie) = OpenedLogin::parse_cookie(login.cookie.expose()).unwrap();
    for hidden in ["first password", "argon2", token.expose(), cookie.expose()] {
        assert!(!text.contains(hidden));
    }
    assert!(!text.contains("email-ann@"));
    assert_eq!(token.expose().len(), 40);
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_everywhere() {
    let world = world().await;
    let ann = world.given("ann", Role::Creator).await;
    let change = |old: &'static str, new: &'static str| {
        let (identity, ann) = (world.identity.clone(), ann.clone());
        async move {
            identity.change_password(&ann, &secret(old), &secret(new), None, &metadata()).await
        }
    };
    assert!(matches!(change("wrong", "second").await, Err(Error::WrongOldPassword)));
    change("first password", "second").await.unwrap();
    let sign_in = |password: &'static str| {
        let identity = world.identity.clone();
        async move { identity.authenticate("ann", &secret(password)).await }
    };
    assert!(sign_in("first password").await.is_err());
    sign_in("second").await.unwrap();
    let kept: i64 =
        sqlx::query_scalar("select count(*) from secrets").fetch_one(&world.pool).await.unwrap();
    assert_eq!(kept, 1, "the old hash is gone");
}

#[tokio::test]
async fn a_login_is_closed_once() {
    let world = world().await;
    world.given("ann", Role::Creator).await;
    let who = world.identity.authenticate("ann", &secret("first password")).await.unwrap();
    let login =
        world.identity.open_login(&who, Audience::Genie, Utc::now(), &metadata()).await.unwrap();
    let close = async || {
        world.identity.close_login(login.login, CloseReason::SignedOut, &metadata()).await.unwrap()
    };
    assert!(close().await.is_some());
    assert!(close().await.is_none());
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let world = world().await;
    let name = || Username::parse("admin", None).unwrap();
    let made = world.identity.bootstrap_admin(name(), None, &metadata()).await.unwrap().unwrap();
    let password = made.made_up.unwrap();
    let who = world.identity.authenticate("admin", &password).await.unwrap();
    assert_eq!(who.role, Role::Administrator);
    let again = world.identity.bootstrap_admin(name(), None, &metadata()).await.unwrap();
    assert!(again.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_make_one_administrator_and_show_a_password_that_works() {
    let world = world().await;
    let starts = (0..4).map(|_| {
        let identity = world.identity.clone();
        let name = Username::parse("admin", None).unwrap();
        tokio::spawn(async move { identity.bootstrap_admin(name, None, &metadata()).await })
    });
    let mut shown = Vec::new();
    for start in futures::future::join_all(starts).await {
        shown.extend(start.unwrap().unwrap());
    }
    let mut works = 0;
    for made in shown {
        let password = made.made_up.unwrap();
        works += usize::from(world.identity.authenticate("admin", &password).await.is_ok());
    }
    assert_eq!(works, 1);
}

#[tokio::test]
async fn nobody_becomes_administrator_by_having_the_name() {
    let world = world().await;
    world.given("admin", Role::Creator).await;
    let name = Username::parse("admin", None).unwrap();
    let refused = world.identity.bootstrap_admin(name, None, &metadata()).await;
    assert!(matches!(refused, Err(Error::UsernameTaken)));
}

#[tokio::test]
async fn a_start_cut_off_before_the_appointment_is_completed() {
    let world = world().await;
    let name = || Username::parse("admin", None).unwrap();
    let password = secret("from the settings");
    // What a crash leaves behind: everything but the appointment.
    let (user, hash) = (mint_user_id(), username_hash("admin"));
    let reserve = name::Command::Reserve { holder: user.clone(), instead_of: None };
    execute::<Name<Usernames>>(&*world.log, &hash, &reserve, &metadata()).await.unwrap();
    let register = user::Command::Register {
        username: name(),
        email: None,
        phone: None,
        role: Role::Administrator,
        secret: Some(SecretId(Uuid::nil())),
    };
    execute::<User>(&*world.log, &user, &register, &metadata()).await.unwrap();

    let start = world.identity.bootstrap_admin(name(), Some(password.clone()), &metadata()).await;
    assert_eq!(start.unwrap().unwrap().user, user);
    let who = world.identity.authenticate("admin", &password).await.unwrap();
    assert_eq!((who.user, who.role), (user, Role::Administrator));
}
