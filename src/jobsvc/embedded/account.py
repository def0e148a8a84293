"""The system account that PostgreSQL runs under, because it refuses root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

#: User and group id of `nobody` if the password file does not list it.
OVERFLOW_ID = 65534


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

    Only root changes accounts. Existing data keep their owner, so that an ordinary
    user's data survive a start by root; otherwise the account is `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if pgdata.exists() and (owner := pgdata.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(OVERFLOW_ID, OVERFLOW_ID)
    return Account(nobody.pw_uid, nobody.pw_gid)
