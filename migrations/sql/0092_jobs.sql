-- Read model: jobs and their queues. `annals rebuild jobs`.
create table jobs (
    job_id uuid primary key,
    owner text not null,
    queue text not null,
    operation text not null,
    input_file text,
    input_url text,
    params jsonb not null,
    profile text,
    priority integer not null,
    status text not null,
    attempt integer not null default 0,
    retry_count integer not null default 0,
    retries integer not null default 0,
    refunded boolean not null default false,
    available_at timestamptz,
    result jsonb,
    error_message text,
    created_at timestamptz not null,
    queued_at timestamptz not null,
    started_at timestamptz,
    completed_at timestamptz,
    updated_at timestamptz not null,
    revision bigint not null
);
create index jobs_waiting on jobs (queue, priority, queued_at) where status = 'queued';
create index jobs_begun on jobs (queue) where status = 'processing';
create index jobs_unrefunded on jobs (queue) where status = 'failed' and not refunded;
create index jobs_open on jobs (owner) where status in ('queued', 'processing');

create table job_counts (
    queue text not null,
    status text not null,
    jobs bigint not null,
    primary key (queue, status)
);
