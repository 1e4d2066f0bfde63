use crate::world::{SECRET, World, ask, good, refused};
use anyhow::{Context, Result};
use domain::{
    invite::{Command, Invite},
    name::NameHash,
};
use futures::future::try_join_all;
use serde_json::{Value, json};

async fn invite(world: &World) -> Result<String> {
    let created = good(world.admin().await?.post("/api/admin/invite/new")).await?;
    Ok(created["invite"]["code"].as_str().context("a code")?.to_owned())
}

async fn register(world: &World, email: &str, code: &str) -> Result<(u16, Value)> {
    let body = json!({"email": email, "password": "long enough", "inviteCode": code});
    ask(world.app.nobody()?.post("/api/register").json(&body)).await
}

/// §16.6
#[tokio::test]
async fn one_invite_makes_one_person() -> Result<()> {
    let world = World::start().await?;
    let code = invite(&world).await?;
    let addresses = ["a@example.org", "b@example.org", "c@example.org", "d@example.org"];
    let answers = try_join_all(addresses.map(|email| register(&world, email, &code))).await?;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 200);
    assert_eq!((good.len(), bad.len()), (1, 3));
    assert!(bad.iter().all(|(status, body)| *status == 400 && body["error"] == "invalid_invite"));
    assert_eq!(world.count("UserRegistered").await?, 2);
    let token = format!("Bearer {}", good[0].1["access_token"].as_str().context("a token")?);
    let new = annals_tests::app::Person::calling(&world.app.base_url, &token)?;
    let me = crate::world::good(new.get("/users/me")).await?;
    assert_eq!(
        (&me["data"]["id"], &me["data"]["subscription_tier"]),
        (&good[0].1["userId"], &json!("starter"))
    );
    let shown = crate::world::good(world.app.nobody()?.get(&format!("/api/invite/{code}"))).await?;
    assert_eq!(shown["invite"]["status"], "claimed");
    world.app.stop().await
}

#[tokio::test]
async fn a_known_address_leaves_the_invite_as_it_is() -> Result<()> {
    let world = World::start().await?;
    let (one, other) = (invite(&world).await?, invite(&world).await?);
    assert_eq!(register(&world, "a@example.org", &one).await?.0, 200);
    let (status, body) = register(&world, " A@Example.org ", &other).await?;
    assert_eq!((status, &body["error"]), (409, &json!("email_exists")));
    assert_eq!(register(&world, "b@example.org", &other).await?.0, 200);
    let used = register(&world, "c@example.org", &one).await?;
    assert_eq!(register(&world, "c@example.org", "guess").await?, used);
    world.app.stop().await
}

/// §16.6
#[tokio::test]
async fn the_eleventh_request_from_one_address_waits_and_others_do_not() -> Result<()> {
    let world = World::with(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.1")]).await?;
    let nobody = world.app.nobody()?;
    let from = |address: &str| {
        nobody.post("/api/register").header("x-forwarded-for", address).body("rubbish")
    };
    for left in (0..10).rev() {
        let answer = from("203.0.113.5").send().await?;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.headers()["x-ratelimit-remaining"], left.to_string());
    }
    let answer = from("203.0.113.5").send().await?;
    assert_eq!(answer.status(), 429);
    let header = |name: &str| -> Result<i64> { Ok(answer.headers()[name].to_str()?.parse()?) };
    for prefix in ["ratelimit", "x-ratelimit"] {
        assert_eq!(header(&format!("{prefix}-limit"))?, 10);
        assert_eq!(header(&format!("{prefix}-remaining"))?, 0);
    }
    assert_eq!(header("ratelimit-reset")?, header("retry-after")?);
    let ends = header("x-ratelimit-reset")? - chrono::Utc::now().timestamp();
    assert!((890..=900).contains(&ends), "{ends}");
    let wait: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
    assert!((890..=900).contains(&wait), "{wait}");
    assert_eq!(refused(from("203.0.113.5")).await?, (429, "rate_limited".to_owned()));
    assert_eq!(from("203.0.113.6").send().await?.status(), 400);
    world.app.stop().await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_the_invite_is_looked_at() -> Result<()> {
    let world = World::start().await?;
    let nobody = world.app.nobody()?;
    for body in [
        json!({}),
        json!({"email": "a@example.org", "password": "long enough"}),
        json!({"email": "nowhere", "password": "long enough", "inviteCode": "x"}),
        json!({"email": "a@example.org", "password": "short", "inviteCode": "x"}),
    ] {
        let found = refused(nobody.post("/api/register").json(&body)).await?;
        assert_eq!(found, (400, "invalid_request".to_owned()), "{body}");
    }
    let ann = world.creator("ann").await?;
    assert_eq!(refused(ann.post("/api/admin/invite/new")).await?.0, 403);
    world.app.stop().await
}

#[tokio::test]
async fn onboarding_goes_step_by_step() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let go = |body: Value| ann.request(reqwest::Method::PATCH, "/api/onboarding").json(&body);
    assert_eq!(good(ann.get("/api/onboarding/state")).await?["state"], "EXTENSION_INSTALL");
    let (status, body) = ask(go(json!({"state": "COMPLETE"}))).await?;
    let told = (status, &body["error"], &body["allowed"]);
    assert_eq!(told, (400, &json!("invalid_transition"), &json!(["DATA_COLLECTION"])));
    for state in ["DATA_COLLECTION", "DATA_COLLECTION", "PROCESSING", "COMPLETE"] {
        assert_eq!(good(go(json!({"state": state}))).await?["state"], state);
    }
    assert_eq!(world.count("OnboardingStateChanged").await?, 3);
    for body in [json!({}), json!({"state": "DONE"}), json!({"state": 1})] {
        assert_eq!(refused(go(body)).await?.0, 400);
    }
    let foreign = json!({"state": "DATA_COLLECTION", "userId": bob.user});
    assert_eq!(refused(go(foreign)).await?.0, 404);
    let server = world.app.nobody()?.request(reqwest::Method::PATCH, "/api/onboarding");
    let jump = json!({"state": "COMPLETE", "userId": bob.user});
    good(server.header(SECRET.0, SECRET.1).json(&jump)).await?;
    assert_eq!(good(bob.get("/api/onboarding")).await?["state"], "COMPLETE");
    world.app.stop().await
}

#[tokio::test]
async fn an_invite_for_two_is_listed_used_and_disabled() -> Result<()> {
    let world = World::start().await?;
    let admin = world.admin().await?;
    let new = json!({"maxUses": 3, "expiresAt": "2027-12-31T00:00:00Z"});
    let made = good(admin.post("/api/admin/invite/new").json(&new)).await?["invite"].clone();
    let code = made["code"].as_str().context("a code")?;
    assert_eq!(register(&world, "a@example.org", code).await?.0, 200);
    assert_eq!(register(&world, "b@example.org", code).await?.0, 200);
    let list = good(admin.get("/api/admin/invites")).await?["invites"].clone();
    let shown = &list[0];
    assert_eq!(
        (&shown["id"], &shown["uses"], &shown["status"]),
        (&made["id"], &json!(2), &json!("pending"))
    );
    assert!(!list.to_string().contains(code));
    let path = format!("/api/admin/invite/{}", made["id"].as_str().context("an id")?);
    let ann = world.creator("ann").await?;
    for request in [ann.request(reqwest::Method::DELETE, &path), ann.get("/api/admin/invites")] {
        assert_eq!(refused(request).await?.0, 403);
    }
    good(admin.request(reqwest::Method::DELETE, &path)).await?;
    let (status, body) = register(&world, "c@example.org", code).await?;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_invite")));
    assert_eq!(good(admin.get("/api/admin/invites")).await?["invites"][0]["status"], "disabled");
    let unknown = admin.request(reqwest::Method::DELETE, "/api/admin/invite/nothing");
    assert_eq!(refused(unknown).await?.0, 404);
    for new in [
        json!({"maxUses": 0}),
        json!({"maxUses": 10_001}),
        json!({"maxUses": "two"}),
        json!({"expiresAt": "2020-01-01T00:00:00Z"}),
    ] {
        assert_eq!(refused(admin.post("/api/admin/invite/new").json(&new)).await?.0, 400, "{new}");
    }
    world.app.stop().await
}

#[tokio::test]
async fn a_registration_that_died_leaves_the_invite_to_the_next() -> Result<()> {
    let world = World::start().await?;
    let code = invite(&world).await?;
    // As by a server that dies between the claim and the account.
    let listed = good(world.admin().await?.get("/api/admin/invites")).await?;
    let id = listed["invites"][0]["id"].as_str().context("an id")?.to_owned();
    let claim = Command::Claim { user: "never".into(), now: chrono::Utc::now() };
    let metadata = domain::Metadata::system(uuid::Uuid::now_v7());
    world.app.app.execute::<Invite>(&NameHash(id), &claim, &metadata).await?;
    assert_eq!(register(&world, "a@example.org", &code).await?.0, 200);
    let used = register(&world, "b@example.org", &code).await?;
    assert_eq!((used.0, world.count("InviteReleased").await?), (400, 1));
    world.app.stop().await
}

#[tokio::test]
async fn who_guesses_codes_keeps_out_nobody_but_themselves() -> Result<()> {
    let world = World::with(&[("ANNALS_TRUSTED_PROXIES", "127.0.0.1")]).await?;
    let code = invite(&world).await?;
    let nobody = world.app.nobody()?;
    let look = |code: &str, from: String| {
        nobody.get(&format!("/api/invite/{code}")).header("x-forwarded-for", from)
    };
    for _ in 0..10 {
        let wrong = good(look("guess", "203.0.113.5".to_owned())).await?;
        assert!(wrong["invite"].is_null() && wrong["error"].is_string());
    }
    let stopped = refused(look(&code, "203.0.113.5".to_owned())).await?;
    assert_eq!(stopped, (429, "rate_limited".to_owned()));
    // From everywhere at once: wrong codes are no longer told about, right ones are.
    let mut told = 10;
    for n in 0..1_100_u32 {
        let from = format!("198.{}.{}.1", 51 + n / 250, n % 250);
        told += u32::from(ask(look("guess", from)).await?.0 == 200);
    }
    assert_eq!(told, 1_000);
    assert_eq!(good(look(&code, "192.0.2.1".to_owned())).await?["invite"]["status"], "pending");
    world.app.stop().await
}

#[tokio::test]
async fn people_with_long_addresses_and_first_names_are_registered_with_both() -> Result<()> {
    let world = World::start().await?;
    let new = json!({"maxUses": 2});
    let made = good(world.admin().await?.post("/api/admin/invite/new").json(&new)).await?;
    let code = made["invite"]["code"].as_str().context("a code")?.to_owned();
    // Longer than a name may be, beginning alike, with a letter of two bytes wherever one may cut.
    for end in ["a", "b"] {
        let email = format!("{}{end}@example.org", "xé".repeat(40));
        let body = json!({
            "email": email, "password": "long enough", "inviteCode": code, "firstName": " Zoë ",
        });
        let registered = good(world.app.nobody()?.post("/api/register").json(&body)).await?;
        let token = registered["access_token"].as_str().context("a token")?;
        let new =
            annals_tests::app::Person::calling(&world.app.base_url, &format!("Bearer {token}"))?;
        let me = good(new.get("/users/me")).await?["data"].clone();
        assert_eq!((&me["email"], &me["first_name"]), (&json!(email), &json!("Zoë")));
        let login = json!({"email": email, "password": "long enough"});
        good(world.app.nobody()?.post("/auth/login").json(&login)).await?;
    }
    let long = json!({
        "email": "c@example.org", "password": "long enough", "inviteCode": code, "firstName": "x".repeat(101),
    });
    let found = refused(world.app.nobody()?.post("/api/register").json(&long)).await?;
    assert_eq!(found, (400, "invalid_request".to_owned()));
    world.app.stop().await
}
