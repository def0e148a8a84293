"""Runs a command that ends when its parent does: `python end_with_parent.py PARENT_PID COMMAND…`.

Runs as a file, not as a module, and becomes the command by exec: so nothing is
imported that the command does not need, and no process stays in between. Linux
only; on other systems the parent must end the command itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; survives exec


def main() -> None:
    """Asks for SIGTERM on the parent's death, then becomes the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # the parent died before the call
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
