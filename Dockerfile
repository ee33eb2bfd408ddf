# unilaw in a container; the same image serves as Ray head and worker.
#   CPU   docker build -t unilaw .
#   CUDA  docker build -t unilaw:cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
# TORCH picks another torch, PIP_ARGS goes to its install (for example to take a CPU build and save gigabytes).
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG PIP_ARGS=""
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/unilaw
WORKDIR /src
COPY constraints.txt ./
RUN /opt/unilaw/bin/pip install --no-cache-dir ${PIP_ARGS} ${TORCH}
COPY pyproject.toml README.md LICENSE ./
COPY harness harness
COPY tasks tasks
COPY clusters clusters
COPY reports reports
RUN /opt/unilaw/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 unilaw
COPY --from=build /opt/unilaw /opt/unilaw
ENV PATH=/opt/unilaw/bin:$PATH RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
USER unilaw
WORKDIR /home/unilaw
ENTRYPOINT ["unilaw"]
CMD ["--help"]
