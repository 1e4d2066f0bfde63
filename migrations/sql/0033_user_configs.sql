-- Read model: what people's clients keep for them. Rows are a fold of the log; `annals rebuild user_configs`.

create table user_configs (
    user_id  text primary key,
    config   jsonb not null,
    revision bigint not null
);
