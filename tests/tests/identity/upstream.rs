use crate::world::{World, metadata, secret, world};
use commands::{
    execute::execute,
    identity::{Error, Standing, Upstream},
};
use domain::{
    ids::UserId,
    name::{self, Name, NameHash, UpstreamIdentities, Usernames},
    user::{Command, EmailAddress, Role, Status, User, Username},
};

fn ann() -> Upstream {
    Upstream {
        provider: "corp".to_owned(),
        subject: "ann-1".to_owned(),
        username: "ann".to_owned(),
        email: EmailAddress::parse("ann@example.org").ok(),
        link_by_email: false,
        default_role: Role::Creator,
        admin: None,
    }
}

async fn enter(world: &World, upstream: &Upstream) -> Result<UserId, Error> {
    world.identity.enter(upstream, &metadata()).await.map(|(who, _)| who.user)
}

/// The identity's reservation, as the use case makes it before anything else.
async fn begun(world: &World, by: &UserId) {
    let key = NameHash(world.keys.lookup_hash("upstream identity", "corp\0ann-1"));
    let reserve = name::Command::Reserve { holder: by.clone(), instead_of: None };
    let decided =
        execute::<Name<UpstreamIdentities>>(&*world.log, &key, &reserve, &metadata()).await;
    decided.unwrap();
}

#[tokio::test]
async fn the_same_identity_is_the_same_person() {
    let world = world().await;
    let first = enter(&world, &ann()).await.unwrap();
    let before = world.facts().await;
    assert_eq!(before, ["NameReserved", "NameReserved", "NameReserved", "UserRegistered"]);
    assert_eq!(enter(&world, &ann()).await.unwrap(), first);
    assert_eq!(world.facts().await, before);
    let elsewhere = Upstream { provider: "other".to_owned(), ..ann() };
    let other = enter(&world, &elsewhere).await.unwrap();
    assert_ne!(other, first);
    assert_eq!(world.identity.account(&other).await.unwrap().email, None);
}

#[tokio::test]
async fn nothing_in_the_log_tells_the_subject() {
    let world = world().await;
    let upstream = Upstream { subject: "very-personal".to_owned(), ..ann() };
    enter(&world, &upstream).await.unwrap();
    assert!(!world.log_text().await.contains("very-personal"));
}

#[tokio::test]
async fn a_first_login_that_crashed_is_completed_by_the_next() {
    let world = world().await;
    let planned = UserId::from("planned");
    begun(&world, &planned).await;
    assert_eq!(enter(&world, &ann()).await.unwrap(), planned);
}

#[tokio::test]
async fn a_registration_that_was_closed_meanwhile_starts_anew() {
    let world = world().await;
    let closed = UserId::from("closed");
    begun(&world, &closed).await;
    execute::<User>(&*world.log, &closed, &Command::Abandon, &metadata()).await.unwrap();
    let user = enter(&world, &ann()).await.unwrap();
    assert_ne!(user, closed);
    assert_eq!(enter(&world, &ann()).await.unwrap(), user);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_one() {
    for round in 0..10 {
        let world = world().await;
        if round % 2 == 0 {
            world.given("ann", Role::Creator).await;
        }
        let attempts = (0..6).map(|_| {
            let identity = world.identity.clone();
            tokio::spawn(async move { identity.enter(&ann(), &metadata()).await })
        });
        let all = futures::future::join_all(attempts).await;
        let people: Vec<UserId> = all.into_iter().map(|who| who.unwrap().unwrap().0.user).collect();
        assert!(people.iter().all(|user| *user == people[0]));
        let registered =
            world.facts().await.iter().filter(|kind| *kind == "UserRegistered").count();
        assert_eq!(registered, 1 + usize::from(round % 2 == 0));
        // The name that was tried and not used is nobody's.
        let account = world.identity.account(&people[0]).await.unwrap();
        assert_eq!(account.username.as_str() == "ann", round % 2 == 1);
    }
}

#[tokio::test]
async fn the_suspended_stay_outside_and_the_last_administrator_inside() {
    let world = world().await;
    let user = enter(&world, &Upstream { admin: Some(true), ..ann() }).await.unwrap();
    let demoted = Upstream { admin: Some(false), ..ann() };
    let (who, _) = world.identity.enter(&demoted, &metadata()).await.unwrap();
    assert_eq!(who.role, Role::Administrator);
    world.given("root", Role::Administrator).await;
    let (who, _) = world.identity.enter(&demoted, &metadata()).await.unwrap();
    assert_eq!(who.role, Role::Creator);
    let suspended = Standing { role: None, status: Some(Status::Suspended) };
    world.identity.set_standing(&[user], suspended, &metadata()).await.unwrap();
    assert!(matches!(enter(&world, &ann()).await, Err(Error::Suspended)));
}

#[tokio::test]
async fn a_deletion_that_crashed_keeps_no_name() {
    let world = world().await;
    world.given("root", Role::Administrator).await;
    let user = world.given("ann", Role::Creator).await;
    // Only the fact itself came into the log.
    execute::<User>(&*world.log, &user, &Command::Delete, &metadata()).await.unwrap();
    let refused = world.identity.authenticate("ann", &secret("first password")).await;
    assert!(matches!(refused, Err(Error::BadCredentials)));
    let new = world.given("ann", Role::Creator).await;
    assert_ne!(new, user);
}

#[tokio::test]
async fn the_deleted_leave_nothing_that_can_be_read() {
    let world = world().await;
    world.given("root", Role::Administrator).await;
    let user = world.given("ann", Role::Creator).await;
    let password = world.identity.account(&user).await.unwrap().password.unwrap();
    world.identity.delete(&user, &metadata()).await.unwrap();
    assert!(world.vault.get(user.as_str(), password).await.unwrap().is_none());
    assert!(matches!(world.identity.account(&user).await, Err(Error::UnknownUser)));
    assert!(matches!(world.identity.delete(&user, &metadata()).await, Err(Error::UnknownUser)));
    let free = Username::parse("ann", None).unwrap();
    assert!(!world.identity.is_taken(&free).await.unwrap());
    let key = crate::world::username_hash("ann");
    let name = commands::execute::Loaded::<Name<Usernames>>::load(&*world.log, &key).await.unwrap();
    assert_eq!(name.state().holder(), None);
}
