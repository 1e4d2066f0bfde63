-- Where in its document a passage stands beyond its bytes, and where the text is kept that the bytes count.

alter table passages
    add column page       integer, -- from 1, in formats that have pages
    add column source_row integer; -- from 0, where every row of a table is a passage of its own
alter table documents
    add column text_blob text;     -- SHA-256 of the extracted text in the blob store
