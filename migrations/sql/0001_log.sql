-- The log: every event of every stream, in one gapless order, chained.

-- "C" collation: names are compared as bytes, which is cheaper and the same on every machine.
create table events (
    position    bigint primary key,
    revision    bigint not null,
    recorded_at timestamptz not null,
    id          uuid not null,
    stream      text collate "C" not null,
    type        text collate "C" not null,
    data        json not null,
    metadata    json not null,
    constraint events_id_key unique (id),
    constraint events_stream_revision_key unique (stream, revision)
)
-- Rows never change: freeze them when they are first vacuumed instead of writing them again later.
with (autovacuum_freeze_min_age = 0);

-- One row: where the log ends. Every batch advances it inside the statement that inserts the events, so its lock is
-- held for one statement and its commit, and positions are handed out in the order of commits.
create table log_head (
    singleton   boolean primary key default true check (singleton),
    position    bigint not null check (position >= 0),
    recorded_at timestamptz not null,
    chain       bytea not null check (length(chain) = 32)
)
-- Rewritten by every batch: room for in-page updates, and dead versions are swept early.
with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000000);

insert into log_head (position, recorded_at, chain) values (0, 'epoch', decode(repeat('00', 32), 'hex'));

-- What was committed together. digest: SHA-256 over the events of the batch; chain: SHA-256 over the chain before it,
-- the digest, first, last and recorded_at (8 bytes each, big-endian; microseconds since 2000-01-01 UTC).
create table log_batches (
    first  bigint not null,
    last   bigint primary key,
    digest bytea not null,
    chain  bytea not null
)
with (autovacuum_freeze_min_age = 0);

-- Nothing updates or deletes an event. A guard against accidents; the chain is the guard against intent.
create function refuse_to_forget() returns trigger language plpgsql as $$
begin
    raise exception 'the log is append-only: % on % is refused', tg_op, tg_table_name;
end
$$;
create trigger append_only before update or delete or truncate on events
    for each statement execute function refuse_to_forget();
create trigger append_only before update or delete or truncate on log_batches
    for each statement execute function refuse_to_forget();
