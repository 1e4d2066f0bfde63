-- Read model: invitations, under the hash of their code. `annals rebuild invites`.
create table invites (
    invite_id text primary key,
    created_by text not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    max_uses integer not null,
    claimed_by text[] not null default '{}',
    disabled boolean not null default false,
    updated_at timestamptz not null,
    revision bigint not null
);
create index invites_newest on invites (created_at desc, invite_id);
