-- Read model: conversations with their runs and messages. Rows are a fold of the log; `annals rebuild conversations`.

create table conversations (
    conversation_id uuid primary key,
    owner           text not null,
    session_id      text not null,
    title           text not null,
    agent_id        text,
    agent_name      text not null,
    user_count      integer not null default 0,
    agent_count     integer not null default 0,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    revision        bigint not null
);
create index conversations_by_owner on conversations (owner, updated_at desc);
create index conversations_by_session on conversations (session_id);

create table runs (
    run_id          uuid primary key,
    conversation_id uuid not null,
    owner           text not null,
    session_id      text not null,
    surface         text not null,
    agent_id        text,
    query           json not null,
    node            uuid not null,
    attempt         integer not null,
    outcome         text,             -- null while the run goes on
    error           text,
    lines           bigint,           -- of a run that is over: all lines, the end line included
    usage           json not null,    -- of finished turns, in order
    forgotten       boolean not null, -- its conversation was deleted: what it says is shown nowhere
    requested_at    timestamptz not null,
    updated_at      timestamptz not null,
    position        bigint not null,  -- of the request: the order of runs
    revision        bigint not null
);
create index runs_by_conversation on runs (conversation_id, position desc);
create index runs_going_on on runs (owner, position) where outcome is null;

create table messages (
    conversation_id uuid not null,
    message_id      text not null,
    run_id          uuid not null,
    position        bigint not null,
    ordinal         integer not null, -- among the messages of one event
    role            text not null,
    message         json not null,
    primary key (conversation_id, message_id)
);
create index messages_in_order on messages (conversation_id, position, ordinal);
create index messages_by_run on messages (run_id);
