-- Lists of runs, the last one first: one's own, and everybody's for administrators.
create index runs_by_owner on runs (owner, position desc);
create index runs_in_order on runs (position desc);
