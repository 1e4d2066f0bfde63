# syntax=docker/dockerfile:1
# Build: the whole workspace, with caches for the registry and the target folder.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package annals \
    && install -D target/release/annals /out/annals

# Run: one binary, an account of its own, one folder to keep.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin annals \
    && install -d -o annals -g annals -m 0700 /data
COPY --from=build /out/annals /usr/local/bin/annals
COPY LICENSE /usr/share/doc/annals/LICENSE
USER annals
WORKDIR /data
# The image holds no PostgreSQL: DATABASE_URL names one. /data keeps the files and the master key.
ENV ANNALS_DATA=/data \
    ANNALS_LISTEN=0.0.0.0:8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8000/livez"]
# annals drains on SIGTERM, which is what `docker stop` sends.
ENTRYPOINT ["annals"]
