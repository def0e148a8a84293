# Two images: `server` (the default) for servers and workers with a PostgreSQL of your own, and
# `trial`, which brings a PostgreSQL and this project's news analyzer along (--target trial).
# Any image with Python 3.11 or newer and venv serves as the base of `build`, and one with the same
# Python, even without a shell, as that of the images. A tag may be another image tomorrow; name the
# base by its digest to get the same one every time: --build-arg BASE=NAME@sha256:…
ARG BASE=docker.io/library/python:3.12-slim
ARG RUNTIME=${BASE}

FROM ${BASE} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements ./requirements
RUN python3 -m venv /opt/jobsvc && python3 -m venv /opt/build \
    && /opt/jobsvc/bin/pip install --require-hashes -r requirements/server.txt \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src/jobsvc ./src/jobsvc
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/jobsvc/bin/pip install --no-deps --no-index dist/*.whl
# Here, so that the images run nothing while they are built. initdb wants its user to have a name.
RUN mkdir -p /root-of-image/etc /root-of-image/data \
    && cp /etc/passwd /etc/group /root-of-image/etc/ \
    && echo "jobsvc:x:10001:10001::/data:/sbin/nologin" >>/root-of-image/etc/passwd \
    && echo "jobsvc:x:10001:" >>/root-of-image/etc/group

FROM build AS build-trial
RUN /opt/jobsvc/bin/pip install --require-hashes -r requirements/image.txt

FROM ${RUNTIME} AS common
COPY --from=build /root-of-image/etc/passwd /root-of-image/etc/group /etc/
COPY --from=build --chown=10001:10001 /root-of-image/data /data
# No JOBSVC_LISTEN: without TLS and authentication the server listens on loopback alone.
ENV PATH=/opt/jobsvc/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    JOBSVC_DATA_DIR=/data/jobsvc
USER 10001:10001
WORKDIR /data
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["jobsvc", "health", "--service", "jobsvc.liveness"]
ENTRYPOINT ["jobsvc"]
CMD ["serve"]
# `make image` says it.
ARG VERSION=
LABEL org.opencontainers.image.title=jobsvc \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.licenses=Apache-2.0

FROM common AS trial
COPY --from=build-trial /opt/jobsvc /opt/jobsvc
# Not in the package: the workers of this project, for `jobsvc work workers.news_analyzer`.
COPY src/workers /opt/jobsvc/src/workers
ENV PYTHONPATH=/opt/jobsvc/src
VOLUME /data

# The last one is what is built without --target.
FROM common AS server
COPY --from=build /opt/jobsvc /opt/jobsvc
