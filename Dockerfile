# syntax=docker/dockerfile:1
# The dependencies are a layer of their own, which only a change of Cargo.lock or a manifest builds anew.
FROM rust:1.95-bookworm AS chef
RUN cargo install cargo-chef --locked --version 0.1.78
WORKDIR /src

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --release --locked --package annals --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --package annals

# One binary, an account of its own, one folder to keep.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin annals \
    && install -d -o annals -g annals -m 0700 /data
COPY --from=build /src/target/release/annals /usr/local/bin/annals
COPY LICENSE /usr/share/doc/annals/LICENSE
USER annals
WORKDIR /data
# The image holds no PostgreSQL: DATABASE_URL names one. /data keeps the files and, where none is named, the master key.
ENV ANNALS_DATA=/data \
    ANNALS_LISTEN=0.0.0.0:8000
VOLUME /data
EXPOSE 8000
# Alive, not ready: a node that waits for its database must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8000/livez"]
# annals drains on SIGTERM, which is what `docker stop` sends.
ENTRYPOINT ["annals"]
