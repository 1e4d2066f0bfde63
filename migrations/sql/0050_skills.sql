-- Read model: skills. Rows are a fold of the log; `annals rebuild skills`.

create table skills (
    skill_id    uuid primary key,
    dimension   text not null, -- system, user, agent
    owner       text not null, -- empty for system skills
    agent_id    text not null, -- empty but for agent skills
    folder      text not null,
    name        text not null,
    description text not null,
    files       integer not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    revision    bigint not null
);
create index skills_by_owner on skills (owner, agent_id, folder);
create index skills_by_agent on skills (agent_id);
