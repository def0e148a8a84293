"""A caller on the client of any release: `python release_caller.py TARGET tour|flow HISTORY STOP`.

Imports nothing of the tests, and nothing that the client of an older release has not.
"""

import json
import os
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

import jobsvc.client
from jobsvc.client import CallFailed, Client, JobStateConflict

_LATER = timedelta(hours=1)


def main(target: str, what: str, history: str = "", stop: str = "") -> None:
    print("code of", Path(jobsvc.client.__file__).parents[3].resolve(), flush=True)
    with Client(target) as client:
        if what == "tour":
            tour(client)
        else:
            flow(client, os.open(history, os.O_WRONLY | os.O_APPEND), Path(stop))


def tour(client: Client) -> None:
    """Makes a call of each kind, and prints a line for each."""
    marker = {"tour": uuid.uuid4().hex}
    print("created", client.create("greet", {"name": "Ada"}, labels=marker).existing)
    request_id = str(uuid.uuid4())
    first = client.create("greet", {"name": "Bo"}, request_id=request_id, labels=marker)
    again = client.create("greet", {"name": "Bo"}, request_id=request_id, labels=marker)
    print("repeated", again.existing, again.id == first.id)
    done = client.wait(first.id)
    print("waited", done.status.state, done.output["greeting"])
    print("followed", [update.status.state for update in client.follow([first.id])][-1])
    late = client.create("nap", {}, delay=_LATER, labels=marker)
    print("cancelled", client.cancel(late.id, "enough").status.state)
    print("retried", client.retry(late.id).status.state)
    print("cancelled", client.cancel(late.id, "enough").status.state)
    client.delete(late.id)
    try:
        client.cancel(first.id, "too late")
    except JobStateConflict as refused:
        print("refused", type(refused).__name__)
    print("listed", len(list(client.list_jobs(labels=marker))))
    print("counted", client.count_jobs(labels=marker).count)


def flow(client: Client, history: int, stop: Path) -> None:
    """Creates jobs one after the other until there is a file `stop`; prints the end of each."""
    while not stop.exists():
        request_id = str(uuid.uuid4())
        job_id = create(client, request_id, history)
        print(job_id, client.wait(job_id).status.state, flush=True)


def create(client: Client, request_id: str, history: int) -> str:
    """Creates a job, however often it has to ask."""
    while True:
        try:
            job = client.create("nap", {"seconds": 0.01}, request_id=request_id)
        except CallFailed as failure:
            if not failure.transient:
                raise
            continue
        event = {"event": "create", "request_id": request_id, "result": "ok"}
        line = json.dumps({**event, "job_id": job.id, "time": time.time()})
        os.write(history, line.encode() + b"\n")
        return job.id


if __name__ == "__main__":
    main(*sys.argv[1:])
