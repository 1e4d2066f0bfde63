-- Read model "usage": billable work by person, kind and billing cycle.
create table usage (
    user_id text not null,
    action text not null,
    billing_cycle_start timestamptz not null,
    amount bigint not null,
    revision bigint not null,
    primary key (user_id, action, billing_cycle_start)
);
