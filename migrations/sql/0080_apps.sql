-- Read model: apps and their versions. Rows are a fold of the log; `annals rebuild apps`.

create table apps (
    app_id      uuid primary key,
    owner       text not null,
    modified_by text not null,
    published   uuid,              -- its name among published apps; null while only its owner runs it
    visibility  text not null,     -- of the time when it is, or was last, published
    readers     text[] not null,
    writers     text[] not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    position    bigint not null,   -- of the creation: the order of lists
    revision    bigint not null
);
create index apps_by_owner on apps (owner, position desc);
create index apps_by_published on apps (published) where published is not null;

create table app_versions (
    app_id     uuid not null,
    version    bigint not null,
    draft      boolean not null,
    comment    text not null,
    definition json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (app_id, version)
);
