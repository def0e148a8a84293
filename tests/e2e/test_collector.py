"""How Python's garbage collector is set in a server, and what that is for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

#: Looked at by any look but a full one: what was made since, and what one look has left.
_MAX_LOOKED_AT = 60_000
#: Keeps half a million objects, as thousands of calls that wait do, and then makes cycles.
_KEEP = """
import gc, json
from jobsvc.cli import serve
serve._tune_collector()
looks = {0: [], 1: [], 2: []}
def look(phase, info):
    if phase == "start":
        generation = info["generation"]
        looks[generation].append(sum(len(gc.get_objects(g)) for g in range(generation + 1)))
gc.callbacks.append(look)
kept = [[] for _ in range(500_000)]
partial = looks[0] + looks[1]
for _ in range(5_500_000):  # cycles, of which a look leaves nothing
    cycle = []
    cycle.append(cycle)
print(json.dumps([partial, len(looks[2])]))
"""
#: Writes the settings of a process that has this on its path, over and over.
_TELL = """
import gc, os, threading, time
def tell(path):
    while True:
        with open(path + ".new", "w") as file:
            file.write(f"{gc.get_threshold()} {gc.get_freeze_count() > 10_000}")
        os.replace(path + ".new", path)
        time.sleep(0.05)
threading.Thread(target=tell, args=[os.environ["TELL"]], daemon=True).start()
"""


def test_no_look_but_a_full_one_sees_many_objects_that_stay() -> None:
    done = subprocess.run([sys.executable, "-c", _KEEP], capture_output=True, text=True, check=True)
    partial, full_looks = json.loads(done.stdout)
    # Not for each few hundred, as Python would: each job would be looked at several times.
    assert 10 < len(partial) < 50
    assert max(partial) <= _MAX_LOOKED_AT
    # Full ones come, too, or cycles that lived for long would stay.
    assert full_looks >= 1


@pytest.mark.xdist_group("e2e")
async def test_server_sets_it_so_and_never_looks_at_what_it_has_loaded(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_TELL)
    told = tmp_path / "told"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    await stage.serve(environment={"PYTHONPATH": path, "TELL": str(told)})
    await eventually(
        lambda: told.exists() and told.read_text() == "(25000, 0, 100) True", seconds=30
    )
