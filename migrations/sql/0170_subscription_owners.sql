-- Which node delivers a persistent subscription. Operational state: not a fold of the log, and nothing depends on its past.
create table subscription_owners (
    group_id   uuid primary key,
    node_id    uuid not null,
    host       text not null,
    port       integer not null,
    held_until timestamptz not null
);
