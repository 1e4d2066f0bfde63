-- People and their secrets.

-- Not read models: what is here is not in the log, and is never rebuilt.

-- Tells a node with another master key before it does harm.
create table key_check (
    single boolean primary key default true check (single),
    digest bytea not null
);

-- One data key per subject, wrapped by the master key; without it after its destruction.
create table subject_keys (
    subject text primary key,
    wrapped bytea,
    created_at timestamptz not null default now(),
    destroyed_at timestamptz,
    check ((wrapped is null) = (destroyed_at is not null))
);

create table secrets (
    id uuid primary key,
    subject text not null references subject_keys,
    version smallint not null,
    sealed bytea not null,
    created_at timestamptz not null default now()
);
create index secrets_by_subject on secrets (subject);

-- Codes that prove an address; both columns are keyed hashes.
create table verification_codes (
    address text primary key,
    digest text not null,
    sent_at timestamptz not null,
    expires_at timestamptz not null,
    attempts smallint not null default 0
);

-- Read model "users".
create table users (
    id text primary key,
    username text not null,
    email text,
    phone text,
    -- What they are, and whether their account works, when they do not administer.
    role text not null,
    status text not null,
    -- Null when they do not administer; otherwise whether their account works.
    admin_status text,
    tier text not null,
    subscription_period text,
    subscription_start timestamptz,
    password uuid,
    password_changed_at timestamptz,
    password_generation integer not null,
    kept_login uuid,
    created_at timestamptz not null,
    revision bigint not null
);
create index users_by_name on users (lower(username));
create index users_by_email on users (email);
create index users_by_age on users (created_at desc, id);

create table api_tokens (
    digest text primary key,
    user_id text not null,
    issued_at timestamptz not null
);
create index api_tokens_by_user on api_tokens (user_id);

-- Read model "logins".
create table logins (
    id uuid primary key,
    user_id text not null,
    audience text not null,
    digest text not null,
    password_generation integer not null,
    opened_at timestamptz not null,
    expires_at timestamptz not null,
    closed boolean not null,
    revision bigint not null
);
create index logins_by_user on logins (user_id);
