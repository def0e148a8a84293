"""A real Prometheus that reads real servers, by the configuration and the rules of deploy/."""

import json
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.support.processes import Process
from tests.support.probe import eventually

_DEPLOY = Path(__file__).parents[3] / "deploy/prometheus"


def is_there() -> bool:
    """Whether this machine has one."""
    return shutil.which("prometheus") is not None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class Prometheus(Process):
    """It reads every second what it is told to read."""

    def __init__(self, folder: Path, servers: Sequence[str], workers: Sequence[str]) -> None:
        import yaml

        self.url = f"http://127.0.0.1:{free_port()}"
        config = yaml.safe_load((_DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(_DEPLOY / name) for name in config["rule_files"]]
        (jobs,) = config["scrape_configs"]
        jobs["static_configs"] = [{"targets": list(servers)}]
        config["scrape_configs"].append(
            {"job_name": "workers", "static_configs": [{"targets": list(workers)}]}
        )
        # Beside its own folder, which the process makes. JSON is YAML.
        file = folder.with_suffix(".yaml")
        file.write_text(json.dumps(config))
        super().__init__(
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=warn",
            ],
            folder,
            {},
        )

    async def ready(self) -> None:
        """Waits until it answers."""

        def answers() -> bool:
            assert self.exit_code is None, self.stderr[-2000:]
            try:
                self._get("/-/ready")
            except OSError:
                return False
            return True

        await eventually(answers, seconds=60, what="Prometheus")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression as it is now; the query must be one."""
        return list(self.api("query", query=expression)["result"])

    def api(self, path: str, **options: str) -> Any:
        """What it answers."""
        try:
            text = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(options)}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{options}: {error.read().decode()}") from None
        return json.loads(text)["data"]

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as response:
            return str(response.read().decode())
