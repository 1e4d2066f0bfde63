-- Read model: posts and what became of them. `annals rebuild posts`.
create table posts (
    post_id uuid primary key,
    owner text not null,
    platform text not null,
    content_text text not null,
    media_id text,
    clip_job_id text,
    platform_meta jsonb not null,
    scheduled_time timestamptz,
    status text not null,
    job_id uuid,
    posted_at timestamptz,
    result jsonb,
    error_message text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    revision bigint not null
);
create index posts_of_owner on posts (owner, created_at desc);
create index posts_due on posts (scheduled_time) where status = 'scheduled';
create index posts_publishing on posts (post_id) where status = 'publishing';
