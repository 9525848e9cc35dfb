# Workers, the scheduler and every job: one image, the command says which. `make images` builds it.
FROM python:3.11-slim-bookworm AS build

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements-run.lock ./
RUN /opt/venv/bin/pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements-run.lock
COPY pyproject.toml README.md LICENSE photo_recommender.py ./
COPY features features/
COPY training training/
COPY pipelines pipelines/
COPY serving serving/
# Editable: data files beside the modules (migrations, templates, Feast's repository) are read where they are.
RUN /opt/venv/bin/pip install --quiet --no-cache-dir --no-deps --no-index --no-build-isolation --editable . \
    && /opt/venv/bin/python -m compileall -q features training pipelines serving photo_recommender.py

FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="photo-recommender-worker" \
      org.opencontainers.image.licenses="MIT"
# libgomp is what implicit, usearch and scikit-learn compute with.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /tmp --no-create-home --shell /usr/sbin/nologin recommender
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# What is written goes below /tmp, a volume: the root file system may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    TMPDIR=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    PHOTO_RECOMMENDER_HOME=/tmp/home \
    PHOTO_RECOMMENDER_METRICS_PORT=9100 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1 \
    BENTOML_DO_NOT_TRACK=true
WORKDIR /app
USER 10001:10001
VOLUME /tmp
EXPOSE 9100
STOPSIGNAL SIGTERM
# The worker and the scheduler serve their metrics while they are well; jobs end before anybody looks.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PHOTO_RECOMMENDER_METRICS_PORT'] + '/metrics', timeout=4)"]
CMD ["photo-recommender", "worker"]
