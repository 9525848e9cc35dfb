# The Bento without what it was built with: compilers and git stay behind. `make images` builds it on the image
# that `bentoml containerize` made, which BENTO names.
ARG BENTO=photo-recommender-bento:local
FROM ${BENTO} AS bento

FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="photo-recommender-service" \
      org.opencontainers.image.licenses="MIT"
# libgomp is what implicit and usearch compute with.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1034 --user-group --home-dir /home/bentoml --no-create-home --shell /usr/sbin/nologin bentoml
COPY --from=bento /app/.venv /app/.venv
COPY --from=bento /home/bentoml/bento /home/bentoml/bento
# What is written goes below /tmp, a volume: the root file system may be read-only.
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/tmp \
    TMPDIR=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PHOTO_RECOMMENDER_HOME=/tmp/home \
    PHOTO_RECOMMENDER_HOST=0.0.0.0 \
    BENTO_PATH=/home/bentoml/bento \
    BENTOML_DO_NOT_TRACK=true \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1
WORKDIR /home/bentoml/bento/src
USER 1034:1034
VOLUME /tmp
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/livez', timeout=4)"]
ENTRYPOINT ["/home/bentoml/bento/env/docker/entrypoint.sh"]
# What `photo-recommender serve` does; the command line itself, with the sandbox and the jobs, is not in the Bento.
CMD ["python", "-c", "from serving.commands.serve import serve; serve()"]
