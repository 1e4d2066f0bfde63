-- Which models the vectors of a knowledge base are of: the least and the greatest name are each one look at an index,
-- however many passages there are.

drop index passages_shelf;
create index passages_shelf on passages (knowledge_base, model) where searchable;
drop index passage_vectors_shelf;
create index passage_vectors_shelf on passage_vectors (knowledge_base, model) where searchable;
