-- Read model: what models write for people in the background. `annals rebuild agent_tasks`.

create table agent_tasks (
    task_id    uuid primary key,
    revision   bigint not null,
    owner      text not null,
    kind       text not null, -- draft, optimize
    status     text not null, -- running, completed, failed, cancelled
    node       uuid not null,
    result     json,
    error      text,
    code       integer,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index agent_tasks_running on agent_tasks (owner) where status = 'running';
