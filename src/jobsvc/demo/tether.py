"""Runs a command that ends when its parent does: `python tether.py PARENT_PID COMMAND…`.

Started as a file, not as a module, and by exec: nothing is imported that the
command does not need, and nothing of ours stays in between. Linux only; on
other systems the command just runs, and whoever started it has to end it.
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
        if os.getppid() != int(parent):  # it died before we asked
            sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
