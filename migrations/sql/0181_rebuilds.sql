-- The last rebuild of each read model. Operational state: not a fold of the log. One that has not ended goes on only as
-- long as somebody holds its lock, so a rebuild whose process was killed is not taken for one that works.
create table rebuilds (
    name       text primary key,
    attempt    bigint not null,      -- from 1: who began an earlier one writes here no more
    started_by text,                 -- a person; null for the command line
    started_at timestamptz not null,
    done       bigint not null,      -- positions of the log folded in
    total      bigint not null,      -- positions to fold in, as things stood
    told_at    timestamptz not null, -- when it last said how far it is
    events     bigint,               -- applied, when it succeeded
    failure    text,                 -- why it failed
    ended_at   timestamptz
);
