-- Read model: runs of apps, for the history. Rows are a fold of the log; `annals rebuild app_runs`.

create table app_runs (
    run_id       uuid primary key,
    app_id       uuid not null,
    app_name     text not null,
    caller       text not null,
    session_key  text not null,
    ip           text,
    user_agent   text,
    content_type text,
    request      json not null,
    response     json,              -- null while the run goes on
    steps        json not null,     -- what finished steps said, and what their models cost
    outcome      text,              -- null while the run goes on
    requested_at timestamptz not null,
    ended_at     timestamptz,
    position     bigint not null,   -- of the request: the order of lists
    revision     bigint not null
);
create index app_runs_by_caller on app_runs (caller, position desc);
create index app_runs_by_app on app_runs (caller, app_id, position desc);
