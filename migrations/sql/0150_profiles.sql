-- Read model: what people say of themselves. Rows are a fold of the log; `annals rebuild profiles`.

create table profiles (
    user_id  text primary key,
    details  jsonb not null,
    avatar   uuid,
    revision bigint not null
);
