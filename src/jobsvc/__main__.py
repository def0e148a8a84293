"""The `jobsvc` command, and `python -m jobsvc`: the commands, or a sentence on what they lack."""

import sys

from jobsvc.extras import NotInstalled, explain


def main() -> None:
    """Runs the command line. Not in `jobsvc.cli`, which cannot be imported without its extra."""
    try:
        from jobsvc.cli import main as run_command

        run_command()
    except ModuleNotFoundError as error:
        sentence = explain(error)
        if sentence is None:
            raise
        sys.exit(f"jobsvc: {sentence}")
    except NotInstalled as error:
        sys.exit(f"jobsvc: {error}")


if __name__ == "__main__":
    main()
