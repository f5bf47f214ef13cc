# For a CPU. We have not built it, for want of a Docker daemon; see
# docs/installation.md. Dockerfile.cuda is the one for GPUs.
FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

# What .devcontainer opens: the checkout is mounted, not copied.
FROM base AS development
RUN apt-get update \
    && apt-get install -y --no-install-recommends git openssh-client \
    && rm -rf /var/lib/apt/lists/*

FROM base
WORKDIR /opt/ddp_perception
COPY . .
# What pip and mmcv's wheel leave in ~/.cache is installed by then.
RUN PIP_NO_CACHE_DIR=1 make env && rm -rf ~/.cache
ENV PATH=/opt/ddp_perception/.venv/bin:$PATH MPLBACKEND=Agg
WORKDIR /work
ENTRYPOINT ["ddp-perception"]
CMD ["--help"]
