-- What an event or command has caused. Few events name a cause; the others pay for nothing but a look at their metadata. Functions for text and
-- not those for JSON, which fail where a client's metadata hold an escape such as \u0000: an append must not fail of an index.
create index events_by_cause on events (
    lower(left(split_part(translate(metadata::text, E' \t\n\r', ''), '"causation_id":"', 2), 36)), position
) where metadata::text like '%"causation_id"%';
