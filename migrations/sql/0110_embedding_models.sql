-- Which models the vectors of a knowledge base are of: the least and the greatest name are each one look at an index,
-- however many passages there are. The index of the vectors themselves keeps one column: the planner takes one of two
-- for worse sorted than it is, and reads the whole table instead where a knowledge base has a tenth of the vectors.

drop index passages_shelf;
create index passages_shelf on passages (knowledge_base, model) where searchable;
