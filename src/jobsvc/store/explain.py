"""Why a database cannot be reached, as one sentence each, without its password. Pure."""

import socket
import ssl

import asyncpg

from jobsvc.store.dsn import Dsn
from jobsvc.store.timelines import StaleServer

#: By SQLSTATE: what precedes the words of the database.
_REFUSALS = {
    "28P01": "the database refuses the password",
    "28000": "the database refuses the login",
    "3D000": "the database does not exist",
    "53300": "the database takes no more connections",
    "57P03": "the database takes no connections yet",
    "42501": "the database refuses the connection",
    "26000": "another session answers, as behind a pooler in transaction mode (JOBSVC_POOLER)",
    "42P05": "another session answers, as behind a pooler in transaction mode (JOBSVC_POOLER)",
}
#: What PgBouncer says, and what precedes it. Most of it comes as a violation of the protocol.
_POOLER_REFUSALS = {
    "no more connections allowed": "the pooler takes no more clients (max_client_conn)",
    "client connections exceeded": "the pooler takes no more clients",
    "query_wait_timeout": "the pooler had no free connection to the database in time"
    " (default_pool_size)",
    "unsupported startup parameter": "the pooler refuses the options of JOBSVC_DSN"
    " (ALTER ROLE … SET does the same)",
    "statement pooling mode": "the pooler is in statement mode, and must be in session or"
    " transaction mode",
    "server login": "the pooler cannot log in to the database",
    "server_login": "the pooler cannot log in to the database",
    "no such database": "the pooler knows no such database",
    "no such user": "the pooler knows no such user",
    '"trust" authentication failed': "the pooler knows no such user",
}


def explain(error: BaseException, dsn: Dsn) -> str:
    """Returns the sentence for an error of the driver."""
    match error:
        case asyncpg.PostgresError() if says := _pooler_says(error):
            return says
        case asyncpg.ProtocolViolationError():
            return f"what listens at {dsn.address}, a pooler perhaps, refuses: {error}"
        case asyncpg.PostgresConnectionError():
            return f"the connection to {dsn.address} is lost, or it is no PostgreSQL: {error}"
        case asyncpg.PostgresError():
            says = error.args[0] if error.args else ""
            return f"{_REFUSALS.get(error.sqlstate or '', 'the database refuses')}: {says}"
        case asyncpg.exceptions.ClientConfigurationError():
            return f"JOBSVC_DSN: {error.args[0]}"
        case StaleServer():
            return f"{error}"
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return f"no connection to {dsn.address}: {error}"
        case socket.gaierror():
            return (
                f"the host name of the database cannot be resolved: {dsn.address} ({_why(error)})"
            )
        case ssl.SSLCertVerificationError():
            return f"the certificate of {dsn.address} does not verify: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS with {dsn.address}: {error.reason or _why(error)}"
        case FileNotFoundError() if not dsn.is_local:
            return "JOBSVC_DSN names a file of certificates or keys that does not exist"
        case ConnectionRefusedError() | FileNotFoundError():
            return f"no database listens at {dsn.address} (connection refused)"
        case TimeoutError():
            return f"the database at {dsn.address} did not answer in time"
        case OSError():
            return f"no connection to {dsn.address}: {_why(error)}"
        case _:
            # Of the driver's own checks, of what the environment or a service file says.
            return f"no connection to {dsn.address}: {type(error).__name__}"


def _pooler_says(error: asyncpg.PostgresError) -> str:
    says = str(error.args[0]) if error.args else ""
    return next((f"{why}: {says}" for text, why in _POOLER_REFUSALS.items() if text in says), "")


def _why(error: OSError) -> str:
    return error.strerror or f"{error}" or type(error).__name__
