# jobsvc, with the PostgreSQL that it starts when JOBSVC_DSN names none.
# Any image with Python 3.11 or newer and venv serves as the base.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src/jobsvc ./src/jobsvc
RUN python3 -m venv /opt/jobsvc \
    && /opt/jobsvc/bin/pip install --no-cache-dir --disable-pip-version-check \
       -c constraints.txt '.[all,news]'

FROM ${BASE}
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
