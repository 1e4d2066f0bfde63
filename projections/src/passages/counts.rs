//! In how many passages a word occurs: counted up as passages are stored, and down as they are dropped.

use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Passages that one statement drops: of a larger document no statement takes longer.
const PAGE: i64 = 10_000;

/// Counts passages of a document that are stored, by their terms.
pub(super) async fn add<'a>(
    db: &mut PgConnection,
    document: &str,
    knowledge_base: &str,
    passages: impl Iterator<Item = &'a [i64]>,
) -> sqlx::Result<()> {
    // In order: two nodes lock the rows alike.
    let (mut found, mut stored) = (BTreeMap::<i64, i64>::new(), 0_i64);
    for terms in passages {
        stored += 1;
        for term in terms {
            *found.entry(*term).or_default() += 1;
        }
    }
    let (terms, counts): (Vec<i64>, Vec<i64>) = found.into_iter().unzip();
    sqlx::query("update passage_sources set stored = stored + $2 where document = $1")
        .bind(document)
        .bind(stored)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "insert into passage_terms as old (knowledge_base, term, passages)
         select $1, term, n from unnest($2::bigint[], $3::bigint[]) as new (term, n)
         on conflict (term, knowledge_base) do update set passages = old.passages + excluded.passages",
    )
    .bind(knowledge_base)
    .bind(terms)
    .bind(counts)
    .execute(db)
    .await?;
    Ok(())
}

/// Drops a document.
pub(super) async fn drop_all(db: &mut PgConnection, document: &str) -> sqlx::Result<()> {
    conceal(db, document).await?;
    drop_passages(db, document, None).await?;
    sqlx::query("delete from passage_sources where document = $1")
        .bind(document)
        .execute(db)
        .await?;
    Ok(())
}

/// Drops the passages of a document that cannot be found.
pub(super) async fn drop_unseen(db: &mut PgConnection, document: &str) -> sqlx::Result<()> {
    let seen = "update passage_sources set stored = 0 where document = $1 and stored > 0
         returning coalesce(attempt, -1)::bigint";
    let seen: Option<i64> =
        sqlx::query_scalar(seen).bind(document).fetch_optional(&mut *db).await?;
    match seen {
        Some(seen) => drop_passages(db, document, Some(seen)).await,
        None => Ok(()),
    }
}

/// Drops the passages of all attempts but this one.
pub(super) async fn drop_others(
    db: &mut PgConnection,
    document: &str,
    attempt: u32,
) -> sqlx::Result<()> {
    conceal(db, document).await?;
    drop_passages(db, document, Some(i64::from(attempt))).await
}

/// Takes what can be found of a document out of its knowledge base's size.
async fn conceal(db: &mut PgConnection, document: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update passage_shelves k set passages = k.passages - s.passages, words = k.words - s.words
         from passage_sources s where s.document = $1 and s.attempt is not null and k.id = s.knowledge_base",
    )
    .bind(document)
    .execute(db)
    .await?;
    Ok(())
}

/// Drops passages with their vectors, except those of one attempt, and counts their words down. Each word is reached by
/// its key: a join over the counts would compare all of them with all words of the document.
async fn drop_passages(
    db: &mut PgConnection,
    document: &str,
    except: Option<i64>,
) -> sqlx::Result<()> {
    let except = except.unwrap_or(-1);
    loop {
        let dropped: i64 = sqlx::query_scalar(
            "with gone as (
                 delete from passages where ctid = any (array(
                     select ctid from passages where document = $1 and attempt <> $2 limit $3))
                 returning knowledge_base, terms
             ), own as materialized (
                 select knowledge_base, term, count(*) as n from gone, unnest(terms) as term
                 group by knowledge_base, term
             ), last as (
                 delete from passage_terms t using own
                 where t.term = own.term and t.knowledge_base = own.knowledge_base and t.passages <= own.n
             ), fewer as (
                 update passage_terms t set passages = t.passages - own.n from own
                 where t.term = own.term and t.knowledge_base = own.knowledge_base and t.passages > own.n
             )
             select count(*) from gone",
        )
        .bind(document)
        .bind(except)
        .bind(PAGE)
        // Planned for the tables as they are, not as they were when this connection first dropped something.
        .persistent(false)
        .fetch_one(&mut *db)
        .await?;
        if dropped < PAGE {
            break;
        }
    }
    sqlx::query("delete from passage_vectors where document = $1 and attempt <> $2")
        .bind(document)
        .bind(except)
        .execute(db)
        .await?;
    Ok(())
}
