-- Read model: things in people's collections. `annals rebuild items`.
create table items (
    item_id uuid primary key,
    owner text not null,
    collection text not null,
    fields json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    revision bigint not null
);
create index items_newest on items (owner, collection, created_at desc, item_id desc);
