-- Read model: fans of creators, their accounts, and what is remembered of them. `annals rebuild fans`.

create table fans (
    fan_id          uuid primary key,
    owner           text not null,
    display_name    text not null,
    stage           text not null,
    total_spend     bigint not null, -- hundredths of the currency
    last_contact_at timestamptz,
    details         jsonb not null,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    revision        bigint not null
);
create index fans_of_owner on fans (owner, total_spend desc, fan_id);

create table fan_accounts (
    fan_id          uuid not null,
    platform        text not null,
    platform_fan_id text not null,
    account         jsonb not null,
    primary key (fan_id, platform, platform_fan_id)
);

create table fan_memories (
    fan_id   uuid not null,
    revision bigint not null,
    text     text not null,
    noted_at timestamptz not null,
    primary key (fan_id, revision)
);
