-- Documents are known as soon as their upload is accepted (revision -1 until their own stream begins), and hidden as soon as
-- they give way or their knowledge base is cleared (gone, until their own stream ends).

alter table documents
    add column gone  boolean not null default false,
    add column place smallint not null default 0; -- within its upload
create index documents_unsettled on documents (created) where gone or revision < 0;
create index documents_blob on documents (knowledge_base, blob);
create index documents_name on documents (knowledge_base, name);

alter table document_shelves add column kind text not null default '';
update document_shelves s set kind = k.kind from knowledge_bases k where k.id = s.id;

alter table knowledge_bases add column setting jsonb;
