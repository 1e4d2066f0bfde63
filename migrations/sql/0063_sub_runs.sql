-- Runs that work for other runs. They belong to the conversation of the run at the top, and what they say is told there.
alter table runs add column parent uuid;
