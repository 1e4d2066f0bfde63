-- What people think of their runs of apps.

alter table app_runs add column rating json;   -- {"quality", "remark"}; null until somebody says something
