-- Passages enter the indexes and the counts of words when they are stored, part by part, and a document's row says which of
-- its attempts can be found. So a large document becomes searchable by changing one row, and holds up nobody. The passages
-- are folded anew from the log at the next start; the memo of vectors stays, and nothing is embedded again.

delete from checkpoints where name = 'passages';
truncate passages, passage_vectors, passage_terms, passage_sources, passage_shelves;

-- The indexes that look at these columns go with them; those over vectors are made at the start.
alter table passages drop column searchable;
alter table passage_vectors drop column searchable;
create index passages_terms on passages using gin (terms);
create index passage_vectors_shelf on passage_vectors (knowledge_base);

alter table passage_sources
    drop column searchable,
    add column attempt integer,                   -- whose passages can be found; none until it is null no more
    add column stored  integer not null default 0, -- passages of other attempts, which cannot
    add column words   bigint not null default 0,  -- of the passages that can
    add column model   text collate "C";           -- of the same
drop index passage_sources_shelf;
create index passage_sources_shelf on passage_sources (knowledge_base, model);
create index passage_sources_storing on passage_sources (knowledge_base) where stored > 0;

create or replace function shown_status(document text, status smallint) returns smallint
language sql stable as $$
    select case when $2 = 2 and not exists (
        select from passage_sources s where s.document = $1 and s.attempt is not null
    ) then 1::smallint else $2 end
$$;
