use crate::world::{SECRET, World, ask, good, refused};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, aead::Aead};
use annals_tests::{
    app::Person,
    audit::audit,
    process::{Folder, Setup},
};
use anyhow::{Context, Result};
use commands::log::Filter;
use domain::{
    Position,
    billing::Tier,
    user::{self, Role, User},
};
use projections::posts::{self, Wanted};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const IMPORT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn connected(ann: &Person, password: &str) -> Result<String> {
    let body = json!({"platform": "onlyfans", "credentials": {"password": password}});
    let created = good(ann.post("/api/credentials/create-profile").json(&body)).await?;
    Ok(created["id"].as_str().context("an id")?.to_owned())
}

fn reveal(who: &Person, id: &str) -> RequestBuilder {
    who.post("/api/credentials/reveal").json(&json!({"creatorProfileId": id}))
}

fn as_server(request: RequestBuilder) -> RequestBuilder {
    request.header(SECRET.0, SECRET.1)
}

/// §16.7
#[tokio::test]
async fn what_is_stored_is_shown_and_is_nowhere_else() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let secret = "hunter2-never-to-be-seen";
    let id = connected(&ann, secret).await?;
    let shown = reveal(&ann, &id).send().await?;
    assert_eq!(shown.headers()["cache-control"], "no-store");
    let shown: Value = shown.json().await?;
    assert_eq!(shown["credentials"], json!({"password": secret}));
    let head = world.app.settled().await?;
    let page = world.app.app.log.read_all(Position::START, 10_000, &Filter::all()).await?;
    assert!(page.events.len() as u64 == head.0);
    assert!(page.events.iter().all(|event| !event.data.get().contains(secret)));
    assert_eq!(world.count("CredentialsRevealed").await?, 1);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let db = &world.app.app.db;
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public'",
    )
    .fetch_all(db)
    .await?;
    assert!(tables.len() > 30, "{tables:?}");
    for table in tables {
        let found = format!(
            "select count(*) from \"{table}\" as row
             where strpos(row::text, '{secret}') > 0 or strpos(row::text, '{hex}') > 0"
        );
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(found)).fetch_one(db).await?;
        assert_eq!(found, 0, "{table}");
    }
    world.app.stop().await
}

/// §16.7
#[tokio::test]
async fn a_server_that_tells_everything_tells_no_credentials() -> Result<()> {
    let folder = Folder::new("genie-credentials");
    let setup = Setup::embedded(&folder.path().join("data"))
        .with("RUST_LOG", "debug,sqlx=debug,commands=trace,api=trace")
        .with("ANNALS_RBAC_SYNC_SECRET", SECRET.1);
    let server = setup.start().await?;
    let admin = server.admin().await?;
    let secret = "hunter2-never-to-be-seen";
    let id = connected(&admin, secret).await?;
    assert_eq!(good(reveal(&admin, &id)).await?["credentials"]["password"], secret);
    good(as_server(reveal(&Person::calling(&server.base_url, "")?, &id))).await?;
    // Sent to where it is not understood.
    let wrong = json!({"creatorProfileId": 7, "platform": [], "credentials": {"a": secret}});
    for path in ["store", "create-profile", "reveal"] {
        let path = format!("/api/credentials/{path}");
        refused(admin.post(&path).json(&wrong)).await?;
    }
    assert!(server.said("/api/credentials/reveal"), "it does tell: {}", server.last_words());
    assert!(!server.said(secret));
    let events = setup.run(&["events"]).await?;
    assert!(events.contains("CredentialsRevealed") && !events.contains(secret));
    server.stop().await
}

/// §16.7
#[tokio::test]
async fn a_changed_blob_is_not_shown_and_a_shredded_one_is_gone() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let id = connected(&ann, "one").await?;
    let shred = ann.request("DELETE".parse()?, &format!("/api/credentials/{id}"));
    let statement = "update secrets set sealed = set_byte(sealed, 14, get_byte(sealed, 14) # 1)
                     where subject like '%/credentials/%'";
    sqlx::query(statement).execute(&world.app.app.db).await?;
    assert_eq!(refused(reveal(&ann, &id)).await?, (500, "decrypt_failed".to_owned()));
    good(shred).await?;
    assert_eq!(refused(reveal(&ann, &id)).await?, (404, "credentials_not_found".to_owned()));
    assert_eq!(world.count("RevealRefused").await?, 1);
    let body = json!({"creatorProfileId": id, "credentials": {"password": "two"}});
    good(ann.post("/api/credentials/store").json(&body)).await?;
    assert_eq!(good(reveal(&ann, &id)).await?["credentials"]["password"], "two");
    world.app.stop().await
}

#[tokio::test]
async fn new_credentials_destroy_the_key_of_those_before() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let id = connected(&ann, "one").await?;
    assert_eq!(connected(&ann, "two").await?, id, "one connection per platform");
    assert_eq!(good(reveal(&ann, &id)).await?["credentials"]["password"], "two");
    let (kept, destroyed): (i64, i64) = sqlx::query_as(
        "select count(wrapped), count(destroyed_at) from subject_keys
         where subject like '%/credentials/%'",
    )
    .fetch_one(&world.app.app.db)
    .await?;
    assert_eq!((kept, destroyed), (1, 1));
    world.app.app.identity.delete(&ann.user, &domain::Metadata::system(uuid::Uuid::nil())).await?;
    let shown = as_server(reveal(&world.app.nobody()?, &id));
    assert_eq!(refused(shown).await?.0, 404, "they go with their owner");
    world.app.stop().await
}

/// §16.12
#[tokio::test]
async fn anothers_connection_does_not_exist_and_the_attempt_is_on_record() -> Result<()> {
    let world = World::start().await?;
    let (ann, bob) = (world.creator("ann").await?, world.creator("bob").await?);
    let viewer = world.person("vic", Role::Viewer).await?;
    let id = connected(&ann, "one").await?;
    let unknown = ask(reveal(&bob, "9b2f4b1e-0000-4000-8000-000000000000")).await?;
    for stranger in [&bob, &world.admin().await?] {
        assert_eq!(ask(reveal(stranger, &id)).await?, unknown);
    }
    assert_eq!(unknown.0, 404);
    assert_eq!(world.count("RevealRefused").await?, 2);
    let body = json!({"creatorProfileId": id, "credentials": {"a": 1}});
    assert_eq!(refused(bob.post("/api/credentials/store").json(&body)).await?.0, 404);
    assert_eq!(refused(viewer.post("/api/credentials/store").json(&body)).await?.0, 403);
    assert_eq!(world.count("CredentialsStored").await?, 1);
    world.app.stop().await
}

#[tokio::test]
async fn nobody_sees_credentials_while_acting_as_their_owner() -> Result<()> {
    let world = World::start().await?;
    let (ann, admin) = (world.creator("ann").await?, world.admin().await?);
    let id = connected(&ann, "one").await?;
    let begun = admin.post("/api/impersonate").json(&json!({"userId": ann.user}));
    let token = good(begun).await?["access_token"].as_str().context("a token")?.to_owned();
    let as_ann = Person::calling(&world.app.base_url, &format!("Bearer {token}"))?;
    let forbidden = (403, "impersonation_forbidden".to_owned());
    assert_eq!(refused(reveal(&as_ann, &id)).await?, forbidden);
    let body = json!({"creatorProfileId": id, "credentials": {"a": 1}});
    assert_eq!(refused(as_ann.post("/api/credentials/store").json(&body)).await?, forbidden);
    assert_eq!(world.count("RevealRefused").await?, 1);
    world.app.stop().await
}

/// §16.8
#[tokio::test]
async fn what_the_upstream_product_sealed_comes_in_both_forms() -> Result<()> {
    let world = World::with(&[("ANNALS_CREDENTIALS_KEY_B64", IMPORT_KEY)]).await?;
    let (ann, nobody) = (world.creator("ann").await?, world.app.nobody()?);
    let sealed = sealed(br#"{"cookie":"abc"}"#)?;
    for blob in [json!(sealed), json!({"enc": sealed})] {
        let id = uuid::Uuid::new_v4().to_string();
        let body = json!({
            "creatorProfileId": id, "encrypted_credentials": blob, "platform": "x",
            "userId": ann.user,
        });
        let store = || nobody.post("/api/credentials/store").json(&body);
        good(as_server(store())).await?;
        assert_eq!(good(reveal(&ann, &id)).await?["credentials"], json!({"cookie": "abc"}));
        let own = ann.post("/api/credentials/store").json(&body);
        assert_eq!(refused(own).await?.0, 403, "nobody may have any blob opened");
    }
    world.app.stop().await
}

#[tokio::test]
async fn a_tier_allows_so_many_platforms_however_they_are_asked_for() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let connect = |platform: &str| {
        let body = json!({"platform": platform, "credentials": {"a": platform}});
        ann.post("/api/credentials/create-profile").json(&body)
    };
    let tried = ["x", "reddit", "tiktok", "fansly", "youtube"].map(|name| ask(connect(name)));
    let answers = futures::future::try_join_all(tried).await?;
    let good_ones: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(good_ones.len(), 1, "a starter has one: {answers:?}");
    for (_, told) in answers.iter().filter(|(status, _)| *status != 200) {
        let found = (&told["error"], &told["reason"], &told["limit"]);
        assert_eq!(found, (&json!("tier_limit_reached"), &json!("limit_reached"), &json!(1)));
    }
    assert_eq!(world.count("ConnectionCreated").await?, 1);
    let id = good_ones[0].1["id"].as_str().context("an id")?;
    let again = json!({"creatorProfileId": id, "credentials": {"a": 2}});
    good(ann.post("/api/credentials/store").json(&again)).await?;
    good(ann.request("DELETE".parse()?, &format!("/api/credentials/{id}"))).await?;
    good(connect("Snapchat")).await?;
    assert_eq!(good(connect("snapchat ")).await?["updated"], true, "written otherwise");
    let back = ann.post("/api/credentials/store").json(&again);
    assert_eq!(refused(back).await?, (403, "tier_limit_reached".to_owned()));
    let tier = |name: &str| user::Command::ChangeTier(Tier::named(name));
    for (name, status) in [("creator", 200), ("nonsense", 403)] {
        let metadata = domain::Metadata::system(uuid::Uuid::nil());
        world.app.app.execute::<User>(&ann.user, &tier(name), &metadata).await?;
        assert_eq!(ask(connect("youtube")).await?.0, status, "{name}");
    }
    world.app.stop().await
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() -> Result<()> {
    let world = World::start().await?;
    let ann = world.creator("ann").await?;
    let id = connected(&ann, "one").await?;
    let head = world.app.app.log.head().await?;
    for body in [
        json!({}),
        json!({"creatorProfileId": id}),
        json!({"creatorProfileId": "x", "credentials": {"a": 1}}),
        json!({"creatorProfileId": id, "credentials": {}}),
        json!({"creatorProfileId": id, "credentials": [1]}),
        json!({"creatorProfileId": id, "credentials": "text"}),
        json!({"creatorProfileId": id, "credentials": {"a": "x".repeat(70_000)}}),
    ] {
        let found = refused(ann.post("/api/credentials/store").json(&body)).await?;
        assert_eq!(found, (400, "invalid_request".to_owned()));
    }
    let without = json!({"credentials": {"a": 1}});
    assert_eq!(refused(ann.post("/api/credentials/create-profile").json(&without)).await?.0, 400);
    for _ in 0..20 {
        let wrong = reveal(&ann, &id).header(SECRET.0, "guess");
        assert_eq!(refused(wrong).await?.0, 401, "the secret decides");
    }
    let sync = world.app.nobody()?.post("/api/rbac-sync").json(&json!({"payload": {}}));
    good(as_server(sync)).await?;
    assert_eq!(world.app.app.log.head().await?, head);
    world.app.stop().await
}

/// §14.4: another server does not know that somebody is gone.
#[tokio::test]
async fn nothing_is_kept_any_more_for_somebody_who_is_gone() -> Result<()> {
    let world = World::start().await?;
    let (admin, ann) = (world.admin().await?, world.creator("ann").await?);
    let id = connected(&ann, "one").await?;
    let draft = json!({"platform": "x", "content": "a draft"});
    good(ann.post("/api/posts/schedule").json(&draft)).await?;
    let erase = json!({"operation": "users.erase", "params": {"userId": ann.user}});
    good(admin.post("/api/goose").json(&erase)).await?;
    let again = json!({"creatorProfileId": id, "credentials": {"key": "two"}});
    let store = as_server(world.app.nobody()?.post("/api/credentials/store").json(&again));
    assert_eq!(refused(store).await?, (404, "not_found".to_owned()));
    let shown = as_server(reveal(&world.app.nobody()?, &id));
    assert_eq!(refused(shown).await?, (404, "credentials_not_found".to_owned()));
    assert_eq!(world.count("CredentialsStored").await?, 1);
    world.app.settled().await?;
    let everything = Wanted { status: None, platform: None, offset: 0, limit: 10 };
    let (rows, ..) = posts::page(&world.app.app.db, &ann.user, everything).await?;
    assert!(rows.is_empty(), "what they wrote goes with them");
    audit(&world.app.database_url()).await?;
    world.app.stop().await
}

fn sealed(plain: &[u8]) -> Result<String> {
    let key: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap_or_default());
    let cipher = Aes256Gcm::new(&key.into());
    let sealed = cipher.encrypt(&Nonce::from([9; 12]), plain).ok().context("sealed")?;
    let (text, tag) = sealed.split_at(sealed.len() - 16);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(format!("v1:{}:{}:{}", hex(&[9; 12]), hex(tag), hex(text)))
}
