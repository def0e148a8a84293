"""The system accounts that PostgreSQL runs under, because it refuses root.

Under `nobody` every process of `nobody` could read the data and change them. So the server runs
under a number that no account has, which it is content with. Only initdb insists on an account with
a name: for the second that the first start takes, the data belong to `nobody`.
"""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

#: User and group id of `nobody` if the password file does not list it.
OVERFLOW_ID = 65534
#: Neither distributions nor systemd give out numbers from 65520 to 65533.
OWN_ID = 65523


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, by number."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Makes the account the owner of one file or directory."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_tree(self, path: Path) -> None:
        """Makes the account the owner of a directory and of everything in it."""
        for folder, folders, files in os.walk(path):
            for name in folders + files:
                self.own(Path(folder, name))
        self.own(path)  # last, because its owner shows that the whole tree was done


def account_for(pgdata: Path) -> Account | None:
    """Returns the account for a server on `pgdata`; None means the account of this process.

    Only root changes accounts. An ordinary user's data keep their owner, so that they survive a
    start by root. Data that root has made, or restored, get an account of their own.
    """
    if os.geteuid() != 0:
        return None
    if pgdata.exists():
        owner = pgdata.stat()
        # Earlier versions made data for `nobody`, in a folder of root's.
        if (
            owner.st_uid not in (0, nobody().uid)
            or pgdata.parent.stat().st_uid == owner.st_uid != 0
        ):
            return Account(owner.st_uid, owner.st_gid)
    return Account(OWN_ID, OWN_ID)


def nobody() -> Account:
    """Returns the account with a name that owns nothing else."""
    try:
        found = pwd.getpwnam("nobody")
    except KeyError:
        return Account(OVERFLOW_ID, OVERFLOW_ID)
    return Account(found.pw_uid, found.pw_gid)
