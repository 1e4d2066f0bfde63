-- Read model "usage_days": what runs cost, by person and day (UTC).
create table usage_days (
    owner             text not null,
    day               date not null,
    runs              bigint not null, -- that people asked for
    messages          bigint not null, -- of people and of agents that answered them
    prompt_tokens     bigint not null,
    completion_tokens bigint not null,
    position          bigint not null, -- of the last event that counted
    primary key (owner, day)
);
create index usage_days_by_day on usage_days (day);

-- Whose the runs are that go on.
create table usage_runs (
    run_id uuid primary key,
    owner  text not null,
    child  boolean not null -- works for another run
);
