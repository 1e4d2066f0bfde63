-- Read model: files that were uploaded to be linked to. Rows are a fold of the log; `annals rebuild uploads`.

create table uploads (
    id          uuid primary key,
    owner       text not null,
    path        text not null, -- what the owner calls it
    blob        text not null,
    size        bigint not null,
    media_type  text not null,
    uploaded_at timestamptz not null,
    revision    bigint not null
);
