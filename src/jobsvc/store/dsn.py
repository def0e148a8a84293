"""What `JOBSVC_DSN` may say, in either form of libpq, as the driver takes it. Pure.

The driver would send a parameter that it does not know to the server as a setting, so each is
honoured, named as having no effect, or refused here.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

_FORM = "postgresql://USER@HOST/DATABASE or host=HOST dbname=DATABASE"

#: The driver reads these itself.
_DRIVER = frozenset(
    {"host", "port", "dbname", "user", "password", "passfile", "service", "options"}
    | {"sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"}
    | {"target_session_attrs"}
)
#: Names that other programs use.
_ALIASES = {"database": "dbname", "ssl": "sslmode"}
#: Parameters of libpq that change nothing here, each with the reason.
_NO_EFFECT = {
    **dict.fromkeys(
        ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        "jobsvc notices dead connections by its own time limits",
    ),
    "tcp_user_timeout": "jobsvc sets its own, from JOBSVC_STATEMENT_SECONDS",
    "client_encoding": "jobsvc sends UTF-8",
    "load_balance_hosts": "hosts are tried in their order",
    **dict.fromkeys(
        ("sslcompression", "sslsni", "sslkeylogfile", "gssdelegation", "max_protocol_version"),
        "the driver has no such option",
    ),
}
#: Parameters of libpq that demand what the driver cannot do, with the values that demand nothing.
_DEMANDS: Mapping[str, frozenset[str]] = {
    "channel_binding": frozenset({"disable", "prefer"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "sslcertmode": frozenset({"disable", "allow"}),
    "min_protocol_version": frozenset({"3.0"}),
    "replication": frozenset({"false", "off", "no", "0"}),
    "requirepeer": frozenset(),
    "require_auth": frozenset(),
    "sslcrldir": frozenset(),
    "scram_client_key": frozenset(),
    "scram_server_key": frozenset(),
}
_CONNECT_SECONDS = 10.0

_URI = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.:-]*?)://(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_PAIR = re.compile(
    r"\s*(?P<name>[^\s=]+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>(?:[^\s\\']|\\.)*))(?:\s|$)",
    re.DOTALL,
)


class DsnInvalid(Exception):
    """`JOBSVC_DSN` cannot be used. The message quotes nothing that may be a password."""


class Dsn(NamedTuple):
    """A database, as the driver takes it."""

    #: For the driver; it may hold a password.
    url: str
    #: The same for each host alone, in their order; empty if none is named.
    urls: tuple[str, ...]
    #: Longest wait for a connection.
    connect_seconds: float
    application_name: str | None
    #: Where the database is, in words: `db.example:5432`.
    address: str
    #: Whether it is reached by sockets in the file system only.
    is_local: bool
    #: Sentences about what has no effect.
    notes: tuple[str, ...]


def read_dsn(text: str) -> Dsn:
    """Reads a URI or `name=value` pairs, as libpq does, and SQLAlchemy's `postgresql+DRIVER://`.

    Raises:
        DsnInvalid: the text is neither, or asks for what cannot be done.
    """
    uri = _URI.fullmatch(text.strip())
    given = _read_pairs(text) if uri is None else _read_uri(uri["scheme"], uri["rest"])
    parameters = {_ALIASES.get(name, name): value for name, value in given.items()}
    seconds = _take_seconds(parameters)
    fallback_name = parameters.pop("fallback_application_name", None)
    application_name = parameters.pop("application_name", fallback_name)
    if "hostaddr" in parameters:
        if "host" in parameters:
            raise DsnInvalid("JOBSVC_DSN: hostaddr beside host is not supported: give one of them")
        parameters["host"] = parameters.pop("hostaddr")
    notes = [
        f"JOBSVC_DSN: {name} has no effect: {_NO_EFFECT[name]}"
        for name in parameters
        if name in _NO_EFFECT
    ]
    for name, value in parameters.items():
        _check(name, value)
    hosts = _hosts(parameters)
    ports = _ports(parameters, len(hosts))
    if hosts:
        parameters["host"] = ",".join(f"[{h}]" if ":" in h else h for h in hosts)
    if ports:
        parameters["port"] = ",".join(ports)
    known = {name: parameters[name] for name in sorted(_DRIVER & parameters.keys())}
    return Dsn(
        _url(known),
        _urls(known),
        seconds,
        application_name,
        _address(hosts, ports),
        all(host.startswith("/") for host in hosts),
        tuple(notes),
    )


def _url(parameters: Mapping[str, str]) -> str:
    return "postgresql://?" + urlencode(parameters, quote_via=quote, safe="/,")


def _urls(parameters: Mapping[str, str]) -> tuple[str, ...]:
    hosts, ports = (parameters.get(name, "").split(",") for name in ("host", "port"))
    if not hosts[0]:
        return ()
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    places = zip(hosts, ports, strict=True)
    return tuple(
        _url({**parameters, "host": host, **({"port": port} if port else {})})
        for host, port in places
    )


def _read_uri(scheme: str, rest: str) -> dict[str, str]:
    dialect = scheme.lower().removeprefix("jdbc:").partition("+")[0]
    if dialect not in ("postgresql", "postgres"):
        raise DsnInvalid(f"JOBSVC_DSN names {dialect}; jobsvc works on PostgreSQL: {_FORM}")
    rest, _, query = rest.partition("?")
    authority, _, database = rest.partition("/")
    login, at, places = authority.rpartition("@") if "@" in authority else ("", "", authority)
    if "@" in login:
        raise DsnInvalid("JOBSVC_DSN has more than one @ before the host: write %40 in a password")
    user, _, password = login.partition(":")
    hosts, ports = [], []
    for place in places.split(","):
        found = _HOST.fullmatch(place)
        if found is None:
            raise DsnInvalid("JOBSVC_DSN: an IPv6 address is written in brackets: [::1]:5432")
        hosts.append(_decoded(found["host"]).strip("[]"))
        ports.append(found["port"] or "")
    parameters = {"dbname": _decoded(database)}
    if at:
        parameters |= {"user": _decoded(user), "password": _decoded(password)}
    parameters |= {"host": ",".join(hosts), "port": ",".join(ports) if any(ports) else ""}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise DsnInvalid("JOBSVC_DSN: what follows the ? must be NAME=VALUE, joined by &")
        parameters[_decoded(name)] = _decoded(value)
    return {name: value for name, value in parameters.items() if value}


def _read_pairs(text: str) -> dict[str, str]:
    parameters = {}
    end = 0
    while text[end:].strip():
        pair = _PAIR.match(text, end)
        if pair is None:
            raise DsnInvalid(f"JOBSVC_DSN must be {_FORM}")
        value = pair["plain"] if pair["quoted"] is None else pair["quoted"]
        parameters[pair["name"]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        end = pair.end()
    if not parameters:
        raise DsnInvalid(f"JOBSVC_DSN must be {_FORM}")
    return {name: value for name, value in parameters.items() if value}


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9a-fA-F]{2})|%00", text):
        raise DsnInvalid("JOBSVC_DSN: a % must precede two hexadecimal digits; itself is %25")
    return unquote(text)


def _take_seconds(parameters: dict[str, str]) -> float:
    text = parameters.pop("connect_timeout", "")
    if not text:
        return _CONNECT_SECONDS
    if not re.fullmatch(r"\d{1,6}", text) or not int(text):
        raise DsnInvalid("JOBSVC_DSN: connect_timeout must be whole seconds, 1 or more")
    return float(text)


def _check(name: str, value: str) -> None:
    if name in _DEMANDS:
        if value not in _DEMANDS[name]:
            raise DsnInvalid(
                f"JOBSVC_DSN: {name}={value} cannot be kept, the driver has no such check:"
                " leave it out, and check the server by sslmode=verify-full"
                if name == "channel_binding"
                else f"JOBSVC_DSN: the driver has no {name}: leave it out"
            )
    elif name == "sslrootcert" and value == "system":
        raise DsnInvalid("JOBSVC_DSN: sslrootcert=system is not supported: name a file")
    elif name not in _DRIVER and name not in _NO_EFFECT:
        # What is no name may be the end of a password that has a ? in it.
        shown = f" {name}" if re.fullmatch("[a-zA-Z_]{1,40}", name) else ""
        raise DsnInvalid(
            f"JOBSVC_DSN: unknown parameter{shown};"
            " a setting of the server is given as options=-cNAME=VALUE"
        )


def _hosts(parameters: Mapping[str, str]) -> list[str]:
    text = parameters.get("host", "")
    return [host.strip("[]") for host in text.split(",")] if text else []


def _ports(parameters: Mapping[str, str], count: int) -> list[str]:
    text = parameters.get("port", "")
    ports = text.split(",") if text else []
    for port in ports:
        if port and not (re.fullmatch(r"\d{1,5}", port) and 1 <= int(port) <= 65_535):
            # It is not quoted: it may be a password.
            raise DsnInvalid(
                "JOBSVC_DSN: the port must be a number from 1 to 65535 (a / in a password is"
                " written %2F, a : in an address needs brackets)"
            )
    if len(ports) not in (0, 1, count):
        raise DsnInvalid("JOBSVC_DSN: give one port, or one for each host")
    return [port or "5432" for port in ports]


def _address(hosts: list[str], ports: list[str]) -> str:
    if not hosts:
        return "the default address"
    if not ports:
        return ", ".join(hosts)
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    return ", ".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
