"""The `jobsvc` command, and `python -m jobsvc`: the commands, or a sentence on what they lack."""

import sys
from typing import NoReturn

from jobsvc.exit_code import ExitCode
from jobsvc.extras import NotInstalled, explain


def _end(sentence: str) -> NoReturn:
    print(f"jobsvc: {sentence}", file=sys.stderr)
    raise SystemExit(ExitCode.CONFIGURATION)


def main() -> None:
    """Runs the command line. Not in `jobsvc.cli`, which cannot be imported without its extra."""
    try:
        from jobsvc.cli import main as run_command

        run_command()
    except ModuleNotFoundError as error:
        sentence = explain(error)
        if sentence is None:
            raise
        _end(sentence)
    except NotInstalled as error:
        _end(f"{error}")


if __name__ == "__main__":
    main()
