-- The files of an agent that is deleted go with it, whoever they are of.

create index workspace_files_agent on workspace_files (agent);
