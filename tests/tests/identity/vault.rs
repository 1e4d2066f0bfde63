use crate::world::{OTHER_KEY, keys, secret, world};
use commands::effects::{
    keys::KeyError,
    vault::{Vault, VaultError},
};
use domain::ids::SecretId;
use uuid::Uuid;

fn id(n: u128) -> SecretId {
    SecretId(Uuid::from_u128(n))
}

#[tokio::test]
async fn what_was_put_comes_back_and_is_not_stored_in_the_clear() {
    let world = world().await;
    world.vault.put("ann", id(1), &secret("sesame, öffne dich")).await.unwrap();
    let found = world.vault.get("ann", id(1)).await.unwrap().unwrap();
    assert_eq!(found.expose(), "sesame, öffne dich");
    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from secrets").fetch_one(&world.pool).await.unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"sesame"));
    assert!(!format!("{:?} {found:?}", world.vault).contains("sesame"));
}

#[tokio::test]
async fn a_secret_moved_to_another_place_cannot_be_opened() {
    let world = world().await;
    world.vault.put("ann", id(1), &secret("hers")).await.unwrap();
    world.vault.put("bob", id(2), &secret("his")).await.unwrap();
    sqlx::query("update secrets set subject = 'bob' where id = $1")
        .bind(id(1).0)
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(matches!(world.vault.get("bob", id(1)).await, Err(VaultError::Damaged)));
    sqlx::query("update secrets set id = $1 where id = $2")
        .bind(id(3).0)
        .bind(id(2).0)
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(matches!(world.vault.get("bob", id(3)).await, Err(VaultError::Damaged)));
}

#[tokio::test]
async fn a_changed_byte_is_noticed() {
    let world = world().await;
    world.vault.put("ann", id(1), &secret("hers")).await.unwrap();
    sqlx::query("update secrets set sealed = set_byte(sealed, 13, get_byte(sealed, 13) # 1)")
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(matches!(world.vault.get("ann", id(1)).await, Err(VaultError::Damaged)));
}

#[tokio::test]
async fn a_destroyed_subject_has_no_secrets_and_gets_no_new_ones() {
    let world = world().await;
    world.vault.put("ann", id(1), &secret("hers")).await.unwrap();
    world.vault.put("bob", id(2), &secret("his")).await.unwrap();
    world.vault.destroy("ann").await.unwrap();
    world.vault.destroy("ann").await.unwrap();
    assert!(world.vault.get("ann", id(1)).await.unwrap().is_none());
    let refused = world.vault.put("ann", id(3), &secret("new")).await;
    assert!(matches!(refused, Err(VaultError::Destroyed)));
    assert_eq!(world.vault.get("bob", id(2)).await.unwrap().unwrap().expose(), "his");
}

#[tokio::test]
async fn nodes_that_make_a_subjects_key_at_once_agree() {
    let world = world().await;
    let puts = (0..8).map(|n| {
        let vault = world.vault.clone();
        async move { vault.put("ann", id(n), &secret(&n.to_string())).await }
    });
    futures::future::try_join_all(puts).await.unwrap();
    for n in 0..8 {
        assert_eq!(world.vault.get("ann", id(n)).await.unwrap().unwrap().expose(), n.to_string());
    }
}

#[tokio::test]
async fn another_master_key_is_turned_away_with_advice() {
    let world = world().await;
    world.keys.confirm(&world.pool).await.unwrap();
    world.keys.confirm(&world.pool).await.unwrap();
    let error = keys(OTHER_KEY).confirm(&world.pool).await.unwrap_err();
    assert!(matches!(error, KeyError::Foreign));
    assert!(error.to_string().contains("ANNALS_MASTER_KEY"));
    world.vault.put("ann", id(1), &secret("hers")).await.unwrap();
    let other = Vault::new(world.pool.clone(), &keys(OTHER_KEY));
    assert!(matches!(other.get("ann", id(1)).await, Err(VaultError::Damaged)));
}
