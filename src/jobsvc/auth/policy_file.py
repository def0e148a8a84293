"""The policy of `JOBSVC_POLICY`, read again when the file changes."""

from collections.abc import Callable
from pathlib import Path

from jobsvc.auth.watched_files import FileUnusable, WatchedFiles
from jobsvc.domain.access_policy import Policy, PolicyInvalid, read_policy


class PolicyFile:
    """The policy that the file had last as a whole. Without a file, nobody has any role by it."""

    def __init__(self, path: Path | None, on_change: Callable[[Policy], None]) -> None:
        """Raises FileUnusable."""
        self.policy = Policy()
        self._on_change = on_change
        self.files: WatchedFiles | None = None
        if path is not None:
            self.files = WatchedFiles("the policy", [path], lambda: self._load(path))

    def _load(self, path: Path) -> None:
        try:
            policy = read_policy(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise FileUnusable(f"JOBSVC_POLICY {path}: {error.strerror or error}") from None
        except (PolicyInvalid, UnicodeDecodeError) as error:
            raise FileUnusable(f"JOBSVC_POLICY {path}: {error}") from None
        if policy != self.policy:
            self.policy = policy
            self._on_change(policy)
