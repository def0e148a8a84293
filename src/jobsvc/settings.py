"""All settings and defaults of the server, read from the environment once."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

#: Most attempts of a job (contract: `RetryPolicy`). Here, because it bounds a setting, and
#: settings import no other module.
MAX_ATTEMPTS = 100
#: Most processes of one server. More processors than that are better used by several servers.
MAX_PROCESSES = 64
#: The schema of a default installation, which the statements of the store name.
SCHEMA = "jobsvc"
#: Settings that may stand in a file, which `JOBSVC_…_FILE` names.
SECRETS = ("dsn", "session_key", "session_keys")
#: Stands in `session_keys` for the key that the database keeps.
DATABASE_KEY = "database"
#: Most session keys at a time: list_jobs.sql looks at the jobs of each apart.
MAX_SESSION_KEYS = 3
#: Algorithms by which tokens may be signed: those with a key that only the issuer has.
JWT_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
#: What a pooler may keep, from transaction to transaction.
POOLERS = ("session", "transaction-prepared", "transaction")

_LISTEN = re.compile(
    r"unix(-abstract)?:(?!//[^/]).+|(\[[0-9a-fA-F:]+\]|[^\s:\[\]]+):(?P<port>\d+)", re.ASCII
)
_MAX_PORT = 65_535
#: PostgreSQL keeps the names that begin with pg_ for itself, and its views in information_schema.
_SCHEMA = re.compile(r"(?!pg_|information_schema$)[a-z_][a-z0-9_]*", re.ASCII)
_MAX_SCHEMA_BYTES = 63

#: Read from the environment by others than the server's settings.
_OTHERS = (
    "TARGET",
    "SESSION_ID",
    "USER_ID",
    "TOKEN",
    "TOKEN_FILE",
    "TLS",
    "CA",
    "CERT",
    "KEY",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "ENV_FILE",
    "CLIENT_SUBMIT",
    "TRACE_FROM",
    "TRACE_HEADERS",
    "TRACE_HEADERS_FILE",
)
#: Kubernetes sets these for a service that is named jobsvc; the last one is for our tests.
_FOREIGN = re.compile(r"JOBSVC_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?|TEST_DSN)")


class SettingsInvalid(Exception):
    """A setting is malformed, or contradicts another one. The text of the error names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One replica's settings. Each field is read from `JOBSVC_` + its name in capitals.

    Durations are in seconds, sizes in bytes.
    """

    #: HOST:PORT to serve on, or unix:PATH; port 0 takes a free one.
    listen: str = "127.0.0.1:50051"
    #: Equal processes that serve on that port, each a replica. With more than one, their parent
    #: only keeps them going.
    processes: int = 1
    #: HOST:PORT of the HTTP listener for probes and Prometheus. Unset: there is none.
    http_listen: str | None = None
    #: Certificates (PEM) that the server shows, the chain included; with the key, turns on TLS.
    tls_cert: Path | None = None
    #: The key of the first of them (PEM).
    tls_key: Path | None = None
    #: Authorities (PEM); each client must show a certificate that one of them has signed.
    tls_client_ca: Path | None = None

    #: The issuer of the tokens that callers may show, as their claim `iss` has it.
    jwt_issuer: str | None = None
    #: What their claim `aud` must have.
    jwt_audience: str | None = None
    #: The issuer's JSON Web Key Set: a file, or a URL.
    jwt_jwks: str | None = None
    #: Algorithms of signatures that are accepted, separated by commas.
    jwt_algorithms: str = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,Ed25519"
    #: Whether callers may show keys that `jobsvc keys` has made.
    accept_api_keys: bool = False
    #: A file (TOML) that says who may do what.
    policy: Path | None = None
    #: How long a stream may go on when the credentials of its caller have ended.
    stream_after_expiry_seconds: float = 60.0

    #: The user's own PostgreSQL (14 to 18). Unset starts the embedded one.
    dsn: str | None = field(default=None, repr=False)
    #: The schema of the tables, so that several installations fit into one database.
    schema: str = SCHEMA
    #: What a connection keeps behind a pooler, one of `POOLERS`. Unset finds it out.
    pooler: str | None = None
    #: Where the embedded PostgreSQL keeps its data.
    data_dir: Path = Path(".jobsvc")
    #: Key for hashing session ids, equal on all replicas. Unset uses one kept in the database.
    session_key: str | None = field(default=None, repr=False)
    #: Several such keys, to replace one by another: the first one is used for what is written, and
    #: sessions hashed with any are known. `DATABASE_KEY` stands for the one in the database.
    session_keys: tuple[str, ...] = field(default=(), repr=False)
    #: How long a start waits for a database that is not there.
    start_wait_seconds: float = 60.0
    #: A folder to which finished spans are appended, for `jobsvc trace`.
    trace_dir: Path | None = None

    max_attempts: int = 3
    initial_backoff_seconds: float = 1.0
    max_backoff_seconds: float = 600.0
    backoff_multiplier: float = 2.0
    attempt_timeout_seconds: float = 900.0
    lease_seconds: float = 30.0
    extend_interval_seconds: float = 10.0
    retention_seconds: float = 7 * 86_400.0
    failed_retention_seconds: float = 14 * 86_400.0
    request_id_seconds: float = 86_400.0
    #: 0 keeps none: the audit is in the log alone.
    audit_retention_seconds: float = 90 * 86_400.0

    #: How long the attempt of a job may go on after the job's cancellation was requested.
    cancel_grace_seconds: float = 30.0
    #: How long workers may need to connect again after an outage of the server.
    reconnect_seconds: float = 5.0
    rescue_interval_seconds: float = 1.0
    poll_interval_seconds: float = 1.0
    prune_interval_seconds: float = 10.0
    heartbeat_interval_seconds: float = 15.0
    acknowledge_seconds: float = 5.0
    subscribe_seconds: float = 5.0
    drain_seconds: float = 20.0

    max_payload_bytes: int = 256 * 1024
    max_message_bytes: int = 4 * 1024 * 1024
    max_batch_items: int = 1000
    max_status_streams: int = 10_000
    max_worker_streams: int = 2_000
    #: Give or take a fifth; 0 lets worker streams grow as old as they like.
    max_worker_stream_age_seconds: float = 3600.0
    max_calls: int = 2_000
    #: Of the three limits before, for callers that hold little.
    reserved_percent: int = 20
    max_queues: int = 10_000
    max_bytes_in_progress: int = 64 * 1024 * 1024
    #: The limit of open files may allow fewer.
    max_connections: int = 20_000

    pool_size: int = 8
    statement_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Checks the settings against each other.

        Raises:
            SettingsInvalid: naming the two that contradict.
        """
        listen = _LISTEN.fullmatch(self.listen)
        if listen is None:
            raise SettingsInvalid(f"JOBSVC_LISTEN must be HOST:PORT, not {self.listen!r}")
        if int(listen["port"] or 0) > _MAX_PORT:
            raise SettingsInvalid(
                f"JOBSVC_LISTEN: the port must be between 0 and {_MAX_PORT}, not {listen['port']}"
            )
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise SettingsInvalid(
                f"JOBSVC_PROCESSES must be between 1 and {MAX_PROCESSES}, not {self.processes}"
            )
        if self.processes > 1 and listen["port"] is None:
            raise SettingsInvalid(
                f"JOBSVC_PROCESSES is {self.processes}, but JOBSVC_LISTEN is {self.listen}:"
                " only one process can listen on a path"
            )
        if self.http_listen is not None:
            http = _LISTEN.fullmatch(self.http_listen)
            if http is None or http["port"] is None or int(http["port"]) > _MAX_PORT:
                raise SettingsInvalid(
                    f"JOBSVC_HTTP_LISTEN must be HOST:PORT, not {self.http_listen!r}"
                )
        if not _SCHEMA.fullmatch(self.schema) or len(self.schema) > _MAX_SCHEMA_BYTES:
            raise SettingsInvalid(
                "JOBSVC_SCHEMA must be a name that PostgreSQL takes without quotes: small letters"
                f" (a to z), digits and _, at most {_MAX_SCHEMA_BYTES}, with no digit and no pg_ in"
                f" front, not {self.schema!r}"
            )
        if self.pooler is not None and self.pooler not in POOLERS:
            raise SettingsInvalid(
                f"JOBSVC_POOLER must be one of {', '.join(POOLERS)}, not {self.pooler!r}"
            )
        self._check_session_keys()
        self._needs("tls_cert", "tls_key")
        self._needs("tls_key", "tls_cert")
        self._needs("tls_client_ca", "tls_cert")
        self._needs("jwt_issuer", "jwt_audience")
        self._needs("jwt_audience", "jwt_jwks")
        self._needs("jwt_jwks", "jwt_issuer")
        if self.policy is not None and not self.authenticates:
            raise SettingsInvalid(
                "JOBSVC_POLICY needs callers that are known: set JOBSVC_TLS_CLIENT_CA,"
                " JOBSVC_JWT_ISSUER or JOBSVC_ACCEPT_API_KEYS"
            )
        for algorithm in self.jwt_algorithms.split(","):
            if algorithm not in JWT_ALGORITHMS:
                raise SettingsInvalid(
                    f"JOBSVC_JWT_ALGORITHMS: {algorithm!r} is none of {', '.join(JWT_ALGORITHMS)}"
                )
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value < math.inf:
                raise SettingsInvalid(f"JOBSVC_{name.upper()} must be a number from 0, not {value}")
        if not 1 <= self.max_attempts <= MAX_ATTEMPTS:
            raise SettingsInvalid(
                f"JOBSVC_MAX_ATTEMPTS must be between 1 and {MAX_ATTEMPTS}, not {self.max_attempts}"
            )
        if self.reserved_percent > 90:
            raise SettingsInvalid(
                f"JOBSVC_RESERVED_PERCENT must be at most 90, not {self.reserved_percent}"
            )
        self._at_least("pool_size", 1, "one connection")
        self._at_least("max_connections", 1, "one connection")
        self._at_least("lease_seconds", 3 * self.extend_interval_seconds, "3 x extend interval")
        self._at_least("attempt_timeout_seconds", self.lease_seconds, "the lease")
        self._at_least("retention_seconds", self.request_id_seconds, "the request id window")
        self._at_least("max_message_bytes", self.max_payload_bytes, "the largest payload")
        self._at_least(
            "max_bytes_in_progress", 8 * self.max_message_bytes, "8 x the largest message"
        )

    @property
    def own_connections(self) -> int:
        """How many connections to the database all processes of the server take: a pool each, and
        two for notifications."""
        return self.processes * (self.pool_size + 2)

    @property
    def authenticates(self) -> bool:
        """Whether callers must prove who they are."""
        return bool(self.tls_client_ca or self.jwt_issuer or self.accept_api_keys)

    def _needs(self, name: str, other: str) -> None:
        if getattr(self, name) is not None and getattr(self, other) is None:
            raise SettingsInvalid(f"JOBSVC_{name.upper()} needs JOBSVC_{other.upper()}")

    def _at_least(self, name: str, floor: float, what: str) -> None:
        value = getattr(self, name)
        if value < floor:
            raise SettingsInvalid(
                f"JOBSVC_{name.upper()} is {value:g}, but must be at least {what} ({floor:g})"
            )

    def _check_session_keys(self) -> None:
        if self.session_key is not None and self.session_keys:
            raise SettingsInvalid(
                "JOBSVC_SESSION_KEY and JOBSVC_SESSION_KEYS are both set; only one may be"
            )
        if len(self.session_keys) > MAX_SESSION_KEYS:
            raise SettingsInvalid(f"JOBSVC_SESSION_KEYS may be {MAX_SESSION_KEYS} keys at most")
        if "" in self.session_keys:
            raise SettingsInvalid("JOBSVC_SESSION_KEYS: a key is empty")
        if len(set(self.session_keys)) < len(self.session_keys):
            raise SettingsInvalid("JOBSVC_SESSION_KEYS: a key is there twice")

    @classmethod
    def read(cls, environment: Mapping[str, str], **overrides: Any) -> "Settings":
        """The settings in `environment`; `overrides` (the command line) come first.

        Raises:
            SettingsInvalid: a value does not parse, or contradicts another.
        """
        values: dict[str, Any] = {}
        for name, hint in get_type_hints(cls).items():
            text = environment.get("JOBSVC_" + name.upper())
            if name in SECRETS:
                secret = _secret(environment, name)
                if secret is not None:
                    values[name] = secret
            elif text:
                kind = next((t for t in get_args(hint) if t is not NoneType), hint)
                try:
                    values[name] = _switch(text) if kind is bool else kind(text)
                except ValueError:
                    raise SettingsInvalid(
                        f"JOBSVC_{name.upper()}: {text!r} is not a {kind.__name__}"
                    ) from None
        return cls(**(values | {k: v for k, v in overrides.items() if v is not None}))


def _secret(environment: Mapping[str, str], name: str) -> str | tuple[str, ...] | None:
    """A secret of `environment`, or of the file that it names. None if there is neither."""
    variable = f"JOBSVC_{name.upper()}"
    text, path = environment.get(variable), environment.get(f"{variable}_FILE")
    if text and path:
        raise SettingsInvalid(f"{variable} and {variable}_FILE are both set; only one may be")
    if path:
        text = _secret_in(f"{variable}_FILE", path)
    if not text:
        return None
    if name != "session_keys":
        return text
    # In a file, a key may have a comma.
    return tuple(key.strip() for key in (text.split("\n") if path else text.split(",")))


def _secret_in(variable: str, path: str) -> str:
    """The text of the file that a variable names, without blanks around it."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsInvalid(f"{variable} {path}: {reason}") from None
    if not text:
        # Without this, an empty file with the DSN would start the embedded PostgreSQL.
        raise SettingsInvalid(f"{variable} {path}: it is empty")
    return text


def _switch(text: str) -> bool:
    """Raises ValueError."""
    if text.lower() in ("1", "true", "t", "yes", "y", "on"):
        return True
    if text.lower() in ("0", "false", "f", "no", "n", "off"):
        return False
    raise ValueError(text)


def unknown_names(environment: Mapping[str, str]) -> str:
    """What is wrong with names in `environment` that look like settings and are none; empty when
    there are no such names."""
    known = [f"JOBSVC_{name.upper()}" for name in (*(f.name for f in fields(Settings)), *_OTHERS)]
    known += [f"JOBSVC_{name.upper()}_FILE" for name in SECRETS]
    unknown = []
    for name in sorted(environment):
        if name.startswith("JOBSVC_") and name not in known and not _FOREIGN.fullmatch(name):
            meant = get_close_matches(name, known, n=1, cutoff=0.8)
            unknown.append(f"{name} (rather {meant[0]}?)" if meant else name)
    return f"no such setting: {', '.join(unknown)}" if unknown else ""
