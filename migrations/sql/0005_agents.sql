-- Read model: agents. Rows are a fold of the log; `annals rebuild agents`.

create table agents (
    agent_id   text primary key,
    owner      text not null,
    name       text not null,
    config     json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    position   bigint not null, -- of the creation: the order of lists
    revision   bigint not null
);
create index agents_by_owner on agents (owner, position);
