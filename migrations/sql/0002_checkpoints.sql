-- How far each reader of the log has come. A row of a read model moves in the transaction that writes the read model's
-- rows; the row of a publisher moves when the broker has acknowledged.
create table checkpoints (
    name     text primary key,
    position bigint not null default 0 check (position >= 0),
    moved_at timestamptz not null default now()
) with (fillfactor = 50); -- room to update in place: these rows move all the time
