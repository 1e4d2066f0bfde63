-- Read model "usage": work that is going on, or was confirmed (then it never expires).
create table usage_reservations (
    user_id text not null,
    reservation text not null,
    action text not null,
    billing_cycle_start timestamptz not null,
    amount bigint not null,
    expires_at timestamptz,
    revision bigint not null,
    primary key (user_id, reservation)
);
