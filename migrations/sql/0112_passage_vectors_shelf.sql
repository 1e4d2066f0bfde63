-- Back to what it was: the planner takes an index of two columns for worse sorted than it is, and read the whole table
-- instead where a knowledge base had a tenth of the vectors.
drop index passage_vectors_shelf;
create index passage_vectors_shelf on passage_vectors (knowledge_base) where searchable;
