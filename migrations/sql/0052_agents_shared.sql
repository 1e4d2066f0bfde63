-- Who else may see an agent and chat with it.

alter table agents add column shared text[] not null default '{}';
create index agents_by_shared on agents using gin (shared);
