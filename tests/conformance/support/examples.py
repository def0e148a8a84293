"""The programs in examples/, as `make examples` builds them."""

from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
#: Those in Python, which are not built.
EXAMPLES = _ROOT / "examples" / "python"


def example(language: str, program: str) -> list[str]:
    """The command of an example, worker or caller; skips the test if it is not built."""
    if language == "go":
        command = [str(_ROOT / "build" / "examples" / "go" / program)]
    else:
        built = _ROOT / "examples" / "typescript" / "dist" / "src"
        command = ["node", str(built / f"{program}.js")]
    if not Path(command[-1]).exists():
        pytest.skip(f"the example in {language} is not built: make examples")
    return command
