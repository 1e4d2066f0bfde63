//! Who comes in over the EventStoreDB protocol.

use crate::server::{ADMIN_PASSWORD, Server, server};
use api::{
    core::tokens::Tokens,
    event_store::{People, peers::Roster},
};
use chrono::{TimeDelta, Utc};
use commands::effects::Sensitive;
use domain::user::Role;
use esdb::{Address, Credentials, Denied, Door, Peers, Right};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const STRANGE: &str = "Bearer e30.e30.e30";

/// What these credentials open: reading, and appending.
async fn opens(door: &People, brought: &Credentials) -> [Result<(), Denied>; 2] {
    let mut opened = [Ok(()); 2];
    for (right, opened) in [Right::Read, Right::Append].into_iter().zip(&mut opened) {
        *opened = door.admit(brought.clone(), None, right).await.map(drop);
    }
    opened
}

fn basic(name: &str, password: &str) -> Credentials {
    Credentials::Basic(name.to_owned(), Sensitive::from(password.to_owned()))
}

fn bearer(header: &str) -> Credentials {
    Credentials::Bearer(Sensitive::from(header.replace("Bearer ", "")))
}

fn door(server: &Server) -> People {
    let app = &server.node.app;
    People::new(app.db.clone(), app.identity.clone())
}

#[tokio::test]
async fn administrators_read_operators_append_and_nobody_else_comes_in() {
    let server = server(&[]).await;
    let door = door(&server);
    server.given_user("op", Role::Operator).await;
    server.given_user("ann", Role::Viewer).await;
    let (forbidden, unknown) = (Err(Denied::Forbidden), Err(Denied::Unknown));
    assert_eq!(opens(&door, &basic("op", "password")).await, [Ok(()), Ok(())]);
    assert_eq!(opens(&door, &basic("admin", ADMIN_PASSWORD)).await, [Ok(()), forbidden]);
    assert_eq!(opens(&door, &basic("ann", "password")).await, [forbidden; 2]);
    assert_eq!(opens(&door, &basic("op", "Password")).await, [unknown; 2]);
    assert_eq!(opens(&door, &basic("annals", "password")).await, [unknown; 2]);
    assert_eq!(opens(&door, &basic("", "")).await, [unknown; 2]);
    assert_eq!(opens(&door, &bearer(STRANGE)).await, [unknown; 2]);
}

#[tokio::test]
async fn an_access_token_opens_until_it_expires_or_its_login_ends() {
    let server = server(&[]).await;
    let door = door(&server);
    server.given_user("op", Role::Operator).await;
    let (token, unknown) = (server.bearer("op", "password").await, Err(Denied::Unknown));
    assert_eq!(opens(&door, &bearer(&token)).await, [Ok(()), Ok(())]);

    let (tokens, now) = (Tokens::new(server.node.app.identity.keys()), Utc::now());
    let ticket = tokens.read(bearer_text(&token), now).unwrap();
    let signed = |expires| tokens.access(&json!({}), ticket.sid, ticket.aud, expires).unwrap();
    let [over, going] = [-1, 60].map(|left| signed(now + TimeDelta::seconds(left)));
    assert_eq!(opens(&door, &Credentials::Bearer(going)).await, [Ok(()), Ok(())]);
    assert_eq!(opens(&door, &Credentials::Bearer(over)).await, [unknown; 2]);

    let left = server.post("/api/auth/logout", &[("authorization", &token)], json!({})).await;
    assert_eq!(left.status, 200);
    server.node.settled().await.unwrap();
    assert_eq!(opens(&door, &bearer(&token)).await, [unknown; 2]);
}

fn bearer_text(header: &str) -> &str {
    header.strip_prefix("Bearer ").unwrap_or(header)
}

#[tokio::test]
async fn nodes_list_those_who_say_that_they_serve_and_where() {
    let server = server(&[]).await;
    let (db, draining) = (&server.node.app.db, CancellationToken::new());
    let at = |host: &str| Some(Address { host: host.to_owned(), port: 2113 });
    let join = async |node, reached, draining: &CancellationToken| {
        Roster::join(db.clone(), node, reached, draining.clone()).await
    };
    let [a, b, silent] = [(); 3].map(|()| Uuid::new_v4());
    let _at_a = join(a, at("a"), &draining).await;
    let at_b = join(b, at("b"), &draining).await;
    let quiet = join(silent, None, &draining).await;
    let seen = |roster: &Roster| {
        roster.others().into_iter().map(|peer| (peer.node, peer.address.host)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&at_b), [(a, "a".to_owned())], "who says nothing is not listed");
    assert_eq!(seen(&quiet), [(a, "a".to_owned()), (b, "b".to_owned())]);

    let again = Uuid::new_v4();
    let _restarted = join(again, at("a"), &draining).await;
    let dead = "insert into event_store_nodes (node_id, host, port, beat_at)
                values ($1, 'dead', 1, now() - interval '8 s')";
    sqlx::query(dead).bind(Uuid::new_v4()).execute(db).await.unwrap();
    let late = join(Uuid::new_v4(), None, &draining).await;
    let there = [(again, "a".to_owned()), (b, "b".to_owned())];
    assert_eq!(seen(&late), there, "no address is listed twice, nor who is silent");
    draining.cancel();
}
