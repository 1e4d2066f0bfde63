-- Which nodes serve the log over the EventStoreDB protocol, and where clients reach them. Operational state: not a fold of the log, and
-- nothing depends on its past.
create table event_store_nodes (
    node_id    uuid primary key,
    host       text not null,
    port       integer not null,
    started_at timestamptz not null default now(),
    beat_at    timestamptz not null default now()
);

-- Where clients reach the node that delivers, where that is not where it listens.
alter table subscription_owners
    add column advertised_host text,
    add column advertised_port integer;
