-- Read model "jobs": how far each is, and whether any is begun at all.
alter table jobs add column progress smallint not null default 0;

create table queue_holds (
    hold text primary key,
    since timestamptz not null,
    revision bigint not null
);
