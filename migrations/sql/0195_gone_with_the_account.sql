-- What somebody kept in collections and scheduled goes with their account from now on; that of accounts which are gone
-- already, too: both read models are made anew from the log.
delete from checkpoints where name in ('items', 'posts');
truncate items, posts;
