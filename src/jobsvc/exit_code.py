"""What the exit code of a command says to whoever started it."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands; docs/operations/exit-codes.md explains them.

    A process that is killed has the code that the system gives it, 128 and the signal's number in a
    shell. The last two are those of sysexits.h.
    """

    #: It did what it was asked for, or was told to end and did.
    DONE = 0
    #: No, or a failure that none of the others names.
    FAILED = 1
    #: The command line is wrong.
    USAGE = 2
    #: It cannot go on, and the same again may work later.
    TEMPORARY = 75
    #: The same again fails again, until somebody changes something.
    CONFIGURATION = 78
