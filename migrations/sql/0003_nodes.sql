-- Nodes that are alive say so here. Operational state: not a fold of the log, and nothing depends on its past.
create table nodes (
    node_id    uuid primary key,
    started_at timestamptz not null default now(),
    beats      bigint not null default 0,
    beat_at    timestamptz not null default now()
);
