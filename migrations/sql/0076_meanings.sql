-- What the words of a knowledge base mean, as far as its own passages tell: where no embedding model is configured.

create table meaning_shelves (
    id       text collate "C" primary key,
    language text not null,
    passages bigint not null, -- that can be found
    fitted   bigint not null  -- how many there were when the terms were last looked at; 0 for never
);

create table meaning_sources (
    document       text collate "C" primary key,
    knowledge_base text collate "C" not null
);
create index meaning_sources_shelf on meaning_sources (knowledge_base);

create table meaning_terms (
    knowledge_base text collate "C" not null,
    term           bigint not null,
    vector         halfvec not null,
    primary key (knowledge_base, term)
);

-- The words of passages: what is looked at anew.
create table meaning_bags (
    document       text collate "C" not null,
    attempt        integer not null,
    ordinal        integer not null,
    knowledge_base text collate "C" not null,
    searchable     boolean not null,
    terms          bigint[] not null,
    counts         smallint[] not null,
    primary key (document, attempt, ordinal)
);
create index meaning_bags_shelf on meaning_bags (knowledge_base, document, ordinal) where searchable;

-- Where the passages stand that can be found; those without a known word stand nowhere.
create table meanings (
    document       text collate "C" not null,
    attempt        integer not null,
    ordinal        integer not null,
    knowledge_base text collate "C" not null,
    settled        boolean not null,  -- whether it is there to stay, and worth its place in the index
    embedding      halfvec(256) not null,
    primary key (document, attempt, ordinal)
);
create index meanings_shelf on meanings (knowledge_base) where not settled;
create index meanings_nearest on meanings using hnsw (embedding halfvec_cosine_ops)
    with (ef_construction = 128) where settled;
