//! Empty copies of a read model's tables in another schema: columns, constraints, indexes and privileges, all under
//! the names they have in the live schema, so that a later migration finds what it expects.

use super::FoldError;
use crate::Projection;
use sqlx::{AssertSqlSafe, PgConnection};

/// One statement per row, in the order in which they have to run. `$1` is the target schema as it stands in a
/// statement, `$2` the tables. Definitions print the names of our own tables bare as long as the live schema comes first
/// in the search path; run with the target in front, they mean the copies.
const BLUEPRINT: &str = "
with own as (
    select c.oid, c.relname, c.reloptions, c.relacl, wanted.place,
           format('%s.%I', $1, c.relname) as copy,
           format('%I.%I', current_schema(), c.relname) as live
      from unnest($2::text[]) with ordinality as wanted (name, place)
      join pg_class c on c.relname = wanted.name and c.relkind = 'r'
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = current_schema()
), steps as (
    select 1 as step, place, '' as name,
           format('create table %s (like %s including all excluding indexes)', copy, live) as run
      from own
    union all
    select 2, place, '', format('alter table %s set (%s)', copy, array_to_string(reloptions, ', '))
      from own where reloptions is not null
    union all
    select case contype when 'f' then 5 else 3 end, place, conname,
           format('alter table %s add constraint %I %s', copy, conname, pg_get_constraintdef(con.oid))
      from own join pg_constraint con on con.conrelid = own.oid and contype in ('p', 'u', 'x', 'f')
    union all
    select 4, place, i.indexrelid::regclass::text,
           replace(pg_get_indexdef(i.indexrelid), format(' ON %s USING ', live),
                   format(' ON %s USING ', copy))
      from own join pg_index i on i.indrelid = own.oid
     where not exists (select from pg_constraint con
                        where con.conindid = i.indexrelid and con.contype in ('p', 'u', 'x'))
    union all
    select 6, place, '',
           format('grant %s on %s to %s%s', acl.privilege_type, copy,
                  case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end,
                  case when acl.is_grantable then ' with grant option' else '' end)
      from own, aclexplode(own.relacl) acl
)
select run from steps order by step, place, name";

/// The schemas the connection looks in, as they stand in a statement.
pub(crate) async fn search_path(db: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(
        "select string_agg(quote_ident(name), ', ' order by place)
         from unnest(current_schemas(false)) with ordinality as path (name, place)",
    )
    .fetch_one(db)
    .await
}

/// Makes the copies in the schema `target` (as it stands in a statement), which exists, and lets the connection look
/// there first.
pub(crate) async fn make(
    db: &mut PgConnection,
    projection: &dyn Projection,
    target: &str,
) -> Result<(), FoldError> {
    let tables = projection.tables();
    let steps: Vec<String> =
        sqlx::query_scalar(BLUEPRINT).bind(target).bind(tables).fetch_all(&mut *db).await?;
    for table in tables {
        let create = format!("create table {target}.{} (", bare_or_quoted(&mut *db, table).await?);
        if !steps.iter().any(|step| step.starts_with(&create)) {
            return Err(FoldError::NoTable(table));
        }
    }
    let path = format!("{target}, {}", search_path(&mut *db).await?);
    run(db, format!("set search_path = {path}")).await?;
    for step in steps {
        run(db, step).await?;
    }
    Ok(())
}

/// Runs a statement put together from names the database itself has quoted.
pub(crate) async fn run(db: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(db).await.map(|_| ())
}

async fn bare_or_quoted(db: &mut PgConnection, name: &str) -> sqlx::Result<String> {
    sqlx::query_scalar("select quote_ident($1)").bind(name).fetch_one(db).await
}
