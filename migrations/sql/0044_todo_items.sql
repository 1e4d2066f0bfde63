-- What agents have set out to do in conversations.

create table todo_items (
    conversation_id text collate "C" not null,
    item_id         text collate "C" not null,
    place           bigint not null, -- order within the list
    content         text not null,
    status          text collate "C" not null, -- pending, in_progress, completed
    conclusion      text,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    revision        bigint not null,
    primary key (conversation_id, item_id)
);
