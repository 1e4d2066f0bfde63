-- What is said of a document beside its name, and what its bytes are: a file, a typed text, the address of a page.

alter table documents
    add column metadata jsonb not null default '{}',
    add column origin   jsonb not null default '"File"';
