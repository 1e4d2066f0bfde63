-- Datasources are knowledge bases of their own kind: what they hold ('text', 'url', 'pdf', 'file', 'weaviate'), null for those
-- that are none.

alter table knowledge_bases add column datasource text collate "C";
create index knowledge_bases_datasources on knowledge_bases (owner, created desc) where datasource is not null;

alter table document_shelves add column datasource boolean not null default false;
create index documents_owner on documents (owner, created);
