-- Read model: versions of the desktop client. Rows are a fold of the log; `annals rebuild versions`.

create table versions (
    version      text primary key,
    -- Sorts byte by byte as semantic versioning orders versions.
    rank         text collate "C" not null,
    notes        text not null,
    published_at timestamptz not null,
    artifacts    json not null,
    position     bigint not null, -- of the last change
    revision     bigint not null
);
create index versions_by_age on versions (published_at desc, rank desc, position desc);
