-- The search with stems, metadata and vectors of its own. Terms are spelled differently now, so the passages are folded
-- anew from the log at the next start; the memo of vectors stays, and nothing is embedded again.

delete from checkpoints where name = 'passages';
truncate passages, passage_terms, passage_sources, passage_shelves;

alter table passage_shelves
    add column language   text not null,      -- decides how words are stemmed
    add column model      text collate "C",   -- of the vectors that were stored last
    add column dimensions integer;

alter table passage_sources
    add column metadata jsonb not null,
    add column passages integer not null;     -- how many can be found

-- The vectors apart from the texts: comparing many of them reads nothing else. Up to about 4,000 dimensions stay in
-- their row.
alter table passages drop column embedding, drop column dimensions;
create table passage_vectors (
    document       text collate "C" not null,
    attempt        integer not null,
    ordinal        integer not null,
    knowledge_base text collate "C" not null,
    searchable     boolean not null,
    model          text collate "C" not null,
    dimensions     integer not null,
    embedding      halfvec not null,
    primary key (document, attempt, ordinal)
) with (toast_tuple_target = 8160);
alter table passage_vectors alter column embedding set storage external;
create index passage_vectors_shelf on passage_vectors (knowledge_base) where searchable;
