-- Read model: model providers that people saved, without their keys. `annals rebuild llm_providers`.

create table llm_providers (
    id         text primary key,
    revision   bigint not null,
    owner      text not null,
    config     json not null,
    secret     uuid not null, -- its key, in the secret store
    is_default boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    position   bigint not null -- of the creation: the order of lists
);
create index llm_providers_by_owner on llm_providers (owner, position);
