-- Logins on their way through an upstream provider. Not a read model: what is here is not in the log. Nothing in it is
-- secret: state and browser are digests, and the nonce and the PKCE verifier follow from the state and the master key.

create table upstream_flows (
    state        text primary key,
    browser      text not null,
    provider     text not null,
    redirect_uri text not null,
    next         text not null,
    expires_at   timestamptz not null
);
create index upstream_flows_by_end on upstream_flows (expires_at);
