-- The administrator who acts as the person of the login.
alter table logins add column impersonator text;
