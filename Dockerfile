# unilaw in a container; the same image serves as Ray head and worker, on KubeRay and under Ray's cluster launcher.
#   CPU   docker build -t unilaw .
#   CUDA  docker build -t unilaw:cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
# TORCH picks another torch, PIP_ARGS goes to its install (for example to take a CPU build and save gigabytes).
# AUTOSCALER is what Ray's cluster launcher imports on an AWS or GCP head to start workers; "" leaves it out.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
ARG TORCH=torch==2.13.0
ARG PIP_ARGS=""
ARG AUTOSCALER="boto3 google-api-python-client==2.202.0"
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
COPY unilaw.py unilaw.py
RUN /opt/unilaw/bin/pip install --no-cache-dir --constraint constraints.txt . ${AUTOSCALER}

FROM ${BASE}
# ca-certificates: buckets. rsync, openssh-client: the launcher copies files in, and its head reaches workers. wget: KubeRay's probes.
# profile.d: both start Ray in a login shell, which forgets the PATH below.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates rsync openssh-client wget && rm -rf /var/lib/apt/lists/* \
 && echo 'export PATH=/opt/unilaw/bin:$PATH' > /etc/profile.d/unilaw.sh \
 && useradd --create-home --shell /bin/bash --uid 10001 unilaw
COPY --from=build /opt/unilaw /opt/unilaw
# HOME by name: the launcher asks the image for it. Token mode: no Ray of this image starts open to whoever reaches its ports.
ENV PATH=/opt/unilaw/bin:$PATH HOME=/home/unilaw RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
USER unilaw
WORKDIR /home/unilaw
ENTRYPOINT ["unilaw"]
CMD ["--help"]
