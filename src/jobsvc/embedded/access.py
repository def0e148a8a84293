"""Who may connect to the embedded PostgreSQL: this process, and whoever is root."""

import os
import pwd
from pathlib import Path

from jobsvc.embedded.account import Account

_MAP = "jobsvc"
_NOTE = "# Written anew at every start.\n"


def secure(pgdata: Path, account: Account | None) -> None:
    """Gives the data to the account that PostgreSQL runs under, and writes down who may connect.

    Under an account of its own, PostgreSQL asks the system who connects: only root may,
    not even that account. Otherwise the folder of the socket keeps all other accounts out.

    No server may run on the data.
    """
    if account and pgdata.stat().st_uid != account.uid:
        account.own_tree(pgdata)
    if account is None:
        rule, users = "local all all trust", ""
    else:
        rule = f"local all all peer map={_MAP}"
        users = f'{_MAP} "{pwd.getpwuid(os.geteuid()).pw_name}" all\n'
    for name, text in (("pg_hba.conf", f"{rule}\n"), ("pg_ident.conf", users)):
        _replace(pgdata / name, _NOTE + text, account)


def _replace(path: Path, text: str, account: Account | None) -> None:
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if account:
        account.own(draft)
    draft.replace(path)
