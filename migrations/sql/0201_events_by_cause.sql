-- What an event or command has caused. Few events name a cause; the others pay for nothing but a look at their metadata. A regular
-- expression and not the JSON functions, which fail where a client's metadata hold an escape such as \u0000: an append must not fail of an index.
create index events_by_cause on events (
    lower(substring(metadata::text from '"causation_id"\s*:\s*"([0-9A-Fa-f-]{36})"')), position
) where metadata::text like '%"causation_id"%';
