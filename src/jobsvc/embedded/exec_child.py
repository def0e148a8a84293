"""Becomes PostgreSQL: gives up root, asks for the parent-death signal, and executes the program.

Run as a script: `exec_child.py PARENT_PID SIGNAL UID GID PROGRAM [ARGUMENT…]`; UID -1 keeps the
account. It is a program of its own because code between fork and exec is not safe in a process
with gRPC's threads, and because only the child itself can ask for the signal. The exec keeps
the pid. Only Linux has the parent-death signal: elsewhere, a server that is killed by kill -9
leaves its PostgreSQL behind, and the next start on the same data ends that.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def exec_child(parent_pid: int, death_signal: int, uid: int, gid: int, command: list[str]) -> None:
    """Replaces this process by `command`; returns only if the parent has ended already."""
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears the setting; exec keeps it.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent_pid:
            return
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        parent, sign, user, group = map(int, sys.argv[1:5])
        exec_child(parent, sign, user, group, sys.argv[5:])
    except OSError as error:
        sys.exit(f"FATAL:  cannot launch {sys.argv[5]}: {error}")
    sys.exit("FATAL:  the server that started this PostgreSQL is gone")
