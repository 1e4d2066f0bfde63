-- Knowledge bases, their documents, and the search over the documents' passages.

create extension if not exists vector;

-- Vectors by model and SHA-256 of the text. Belongs to no read model: rebuilding the search reads it and calls nobody.
create table vector_memo (
    model     text collate "C" not null,
    hash      bytea not null,
    embedding real[] not null,
    primary key (model, hash)
);

create table knowledge_bases (
    id         text collate "C" primary key,
    owner      text collate "C" not null,
    name       text not null,
    kind       text not null,
    intro      text not null,
    language   text not null,
    created    bigint not null, -- position in the log: the order of creation
    created_at timestamptz not null,
    updated_at timestamptz not null,
    revision   bigint not null
);
create index knowledge_bases_owner on knowledge_bases (owner, created desc);

-- The knowledge bases that exist, as the read model of documents knows them: a file that arrives after the deletion of
-- its knowledge base leaves no row.
create table document_shelves (
    id text collate "C" primary key
);

create table documents (
    id             text collate "C" primary key,
    knowledge_base text collate "C" not null,
    owner          text collate "C" not null,
    task           text collate "C" not null,
    name           text not null,
    blob           text not null,
    size           bigint not null,
    media_type     text not null,
    status         smallint not null, -- 0 waiting, 1 in work, 2 searchable, 3 given up
    attempts       integer not null,
    reason         text,              -- of the last failure
    due_at         timestamptz,       -- not before this, after a failure
    passages       integer not null,  -- of the current attempt
    text_bytes     bigint not null,
    created        bigint not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    revision       bigint not null
);
create index documents_shelf on documents (knowledge_base, created desc);
create index documents_task on documents (task);
create index documents_unfinished on documents (created) where status < 2;

-- How much can be searched, by knowledge base: what BM25 needs to know of a collection.
create table passage_shelves (
    id       text collate "C" primary key,
    passages bigint not null,
    words    bigint not null
);

create table passage_sources (
    document       text collate "C" primary key,
    knowledge_base text collate "C" not null,
    title          text not null,
    searchable     boolean not null, -- whether its passages can be found
    revision       bigint not null
);
create index passage_sources_shelf on passage_sources (knowledge_base);

create table passages (
    document       text collate "C" not null,
    attempt        integer not null,
    ordinal        integer not null,
    knowledge_base text collate "C" not null,
    searchable     boolean not null, -- false while its document is still being ingested
    text           text not null,
    heading        text not null,
    starts         bigint not null,  -- bytes of the document's text
    ends           bigint not null,
    terms          bigint[] not null, -- numbers of the words, mixed with the knowledge base: its filter is in the index
    counts         smallint[] not null,
    words          integer not null,
    model          text collate "C" not null,
    dimensions     integer,
    embedding      halfvec,
    primary key (document, attempt, ordinal)
);
-- What every scored row is read for stays in the row; the text and the vector go out of line.
alter table passages alter column terms set storage main, alter column counts set storage main;
create index passages_shelf on passages (knowledge_base) where searchable;
create index passages_terms on passages using gin (terms) where searchable;

-- In how many searchable passages of its knowledge base a term occurs.
create table passage_terms (
    knowledge_base text collate "C" not null,
    term           bigint not null,
    passages       bigint not null,
    primary key (term, knowledge_base)
);
create index passage_terms_shelf on passage_terms (knowledge_base);

-- A document counts as done when the search has it, which is another read model's to say. The body is text on purpose:
-- its names are looked up when it runs, so that rebuilding a read model can swap the tables below it.
create function shown_status(document text, status smallint) returns smallint
language sql stable as $$
    select case when $2 = 2 and not exists (
        select from passage_sources s where s.document = $1 and s.searchable
    ) then 1::smallint else $2 end
$$;
