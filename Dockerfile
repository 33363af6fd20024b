# All tools in one image. Without arguments it runs the pipe; with the name of a tool, that tool:
#
#   docker build -t prometheus-telegram .
#   docker run -p 8080:8080 -e TELEGRAM_BOT_TOKEN -v alerts:/var/lib/prometheus-telegram prometheus-telegram
#   docker run --rm prometheus-telegram grafana-shot --help
#
# example_config/compose.yaml has it with Prometheus, Alertmanager and Grafana.

ARG RUST=docker.io/library/rust:1-bookworm
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${RUST} AS build
# "release", or "dev" where the time to build counts more than the size.
ARG PROFILE=release
WORKDIR /source
COPY . .
RUN cargo build --locked --bins --profile "$PROFILE" \
 && mkdir /tools \
 && for tool in src/bin/*.rs; do \
      install -s "target/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")/$(basename "$tool" .rs)" /tools/ || exit 1; \
    done

FROM ${BASE}
# The number is said, so that a volume can be given to it; no name can be told from a number by "runAsNonRoot".
RUN groupadd --system --gid 8471 alerts \
 && useradd --system --uid 8471 --gid alerts --no-create-home --home-dir /var/lib/prometheus-telegram alerts \
 && install -d -o alerts -g alerts -m 750 /var/lib/prometheus-telegram
COPY --from=build /tools/ /usr/local/bin/
COPY scripts/entrypoint /usr/local/bin/entrypoint
COPY example_config/ /usr/local/share/prometheus-telegram/
# Secrets are files of that directory, as "docker compose" and Kubernetes make them: bot_token, grafana_token, ...
ENV STATE_DIRECTORY=/var/lib/prometheus-telegram \
    USERS_FILE=/var/lib/prometheus-telegram/users.json \
    CREDENTIALS_DIRECTORY=/run/secrets
VOLUME /var/lib/prometheus-telegram
USER 8471:8471
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["entrypoint", "healthy"]
ENTRYPOINT ["entrypoint"]
CMD ["pipe"]
