-- Read model: MCP servers. Rows are a fold of the log; `annals rebuild mcp_servers`.

create table mcp_servers (
    server_id  text primary key,
    owner      text,                 -- null: everybody's
    name       text not null,
    protocol   text not null,        -- streamable_http, sse
    url        text not null,
    api_key    uuid,                 -- reference into the secret store
    saved_by   text not null,
    disabled   boolean not null,
    tools      json not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    position   bigint not null,      -- of the creation: the order of lists
    connected  bigint not null,      -- revision of the connection in force
    revision   bigint not null
);
create index mcp_servers_by_owner on mcp_servers (owner, position);
