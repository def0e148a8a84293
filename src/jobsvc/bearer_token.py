"""The token by which a caller or a worker says who it is: as it is, or asked for anew each time."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

#: A token, or what returns the current one: it is called for every call and stream.
Token: TypeAlias = str | Callable[[], str]

_TOKEN = re.compile(r"[\x21-\x7e]+")


def check_token(token: str) -> None:
    """Raises ValueError, which does not show the token, for a text that no call can carry."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("token must be printable ASCII without blanks; None stands for none")


def authorization(token: Token | None) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of a call with a token. Raises as `check_token`, and as the token."""
    if token is None:
        return ()
    text = token if isinstance(token, str) else token()
    check_token(text)
    return (("authorization", f"Bearer {text}"),)


def token_in(path: str | Path) -> Callable[[], str]:
    """Returns what reads the token from a file whenever it is asked, so that it may be replaced."""
    return lambda: Path(path).read_text(encoding="ascii").strip()


def token_of(environment: Mapping[str, str]) -> Token | None:
    """Returns the token of `JOBSVC_TOKEN`, else that in the file `JOBSVC_TOKEN_FILE`."""
    if token := environment.get("JOBSVC_TOKEN"):
        return token
    path = environment.get("JOBSVC_TOKEN_FILE")
    return token_in(path) if path else None
