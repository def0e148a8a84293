"""Modules are found by name and by path, as parts of the project that they are in."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from jobsvc.worker.modules import load
print(*[module.__name__ for module in load(sys.argv[1:])])
"""


def load(folder: Path, *names: str) -> str:
    """The names of the modules that a process in `folder` has loaded."""
    # -P: as for the command `jobsvc`, Python itself does not search the folder.
    command = [sys.executable, "-P", "-c", PROGRAM, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """`shop/tasks/mail.py` in packages, `scripts/mail.py` in a plain folder."""
    for folder in ("shop/tasks", "scripts", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "tasks" / "__init__.py").write_text("from . import mail\n")
    for folder in ("shop/tasks", "scripts"):
        (tmp_path / folder / "texts.py").touch()
    (tmp_path / "shop" / "tasks" / "mail.py").write_text("import shop\nfrom . import texts\n")
    (tmp_path / "scripts" / "mail.py").write_text("import shop, texts\nfrom . import texts\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("shop.tasks.mail", "shop.tasks.mail"),
        ("shop/tasks/mail.py", "shop.tasks.mail"),
        ("shop/tasks/__init__.py", "shop.tasks"),
        ("scripts/mail.py", "scripts.mail"),
    ],
)
def test_module_is_part_of_the_project_around_it(project: Path, name: str, module: str) -> None:
    assert load(project, name) == module


@pytest.mark.parametrize("folder", ["shop/tasks", "elsewhere"])
def test_file_in_a_package_is_part_of_it_from_anywhere(project: Path, folder: str) -> None:
    path = project / "shop" / "tasks" / "mail.py"
    assert load(project / folder, str(path)) == "shop.tasks.mail"


def test_file_outside_the_current_folder_has_its_neighbours(project: Path) -> None:
    (project / "scripts" / "alone.py").write_text("import texts\n")
    assert load(project / "elsewhere", "../scripts/alone.py") == "alone"


def test_name_and_path_are_one_module(project: Path) -> None:
    (project / "scripts" / "counted.py").write_text("print('loaded')\n")
    assert load(project, "scripts.counted", "scripts/counted.py", "scripts/counted.py") == (
        "loaded\nscripts.counted scripts.counted scripts.counted"
    )


def test_file_named_like_a_module_of_python_does_not_replace_it(project: Path) -> None:
    (project / "queue.py").write_text(
        "import dataclasses, queue\n"
        "@dataclasses.dataclass\n"
        "class Job: number: int\n"
        "queue.SimpleQueue\n"
    )
    assert load(project, "queue.py") == str(project / "queue.py")


def test_project_comes_before_what_is_installed(project: Path) -> None:
    (project / "jobs.py").write_text("import psutil; print(psutil.__file__)\n")
    (project / "psutil.py").touch()
    assert load(project, "jobs") == f"{project / 'psutil.py'}\njobs"
