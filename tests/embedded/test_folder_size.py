"""The room that a data directory takes is that of its files, wherever they are in it."""

import os
from pathlib import Path

import pytest

from jobsvc.embedded.folder_size import folder_bytes


def test_files_of_all_folders_count_and_links_do_not(tmp_path: Path) -> None:
    before = folder_bytes(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("large", "a/large", "a/b/large"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"x" * (1 << 20))
            os.fsync(file.fileno())  # Some file systems give room only then.
    (tmp_path / "elsewhere").symlink_to("/usr")
    assert 3 << 20 <= folder_bytes(tmp_path) - before < 4 << 20


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folder_bytes(tmp_path / "none")
