# jobsvc, with the PostgreSQL that it starts when JOBSVC_DSN names none.
# Any image with Python 3.11 or newer and venv serves as the base; name one by its digest to get the
# same one every time: --build-arg BASE=NAME@sha256:…
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements ./requirements
RUN python3 -m venv /opt/jobsvc && python3 -m venv /opt/build \
    && /opt/jobsvc/bin/pip install --require-hashes -r requirements/image.txt \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src/jobsvc ./src/jobsvc
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/jobsvc/bin/pip install --no-deps --no-index dist/*.whl

FROM ${BASE}
# `make image` says it.
ARG VERSION=
LABEL org.opencontainers.image.title=jobsvc \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.licenses=Apache-2.0
# initdb wants its user to have a name.
RUN useradd --uid 10001 --home-dir /data --create-home jobsvc
COPY --from=build /opt/jobsvc /opt/jobsvc
# Not in the package: the workers of this project, for `jobsvc work workers.news_analyzer`.
COPY src/workers /opt/jobsvc/src/workers
ENV PATH=/opt/jobsvc/bin:$PATH \
    PYTHONPATH=/opt/jobsvc/src \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    JOBSVC_LISTEN=0.0.0.0:50051 \
    JOBSVC_DATA_DIR=/data/jobsvc
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["jobsvc", "health", "--service", "jobsvc.liveness", "--target", "127.0.0.1:50051"]
ENTRYPOINT ["jobsvc"]
# --insecure: the network of the container decides who reaches the port.
CMD ["serve", "--insecure"]
