-- Files of workspaces, as they are listed. The bytes lie in the blob store.

create table workspace_files (
    file_id     text collate "C" primary key,
    owner       text collate "C" not null,
    agent       text collate "C" not null, -- empty for what is done without an agent
    path        text collate "C" not null, -- in byte order, so that a folder is a range
    blob        text collate "C" not null,
    size        bigint not null,
    media_type  text not null,
    modified_at timestamptz not null,
    revision    bigint not null
);
create index workspace_files_place on workspace_files (owner, agent, path);
