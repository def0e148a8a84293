"""What replicas call the channel of their notifications, and the one that concerns the server."""

import hashlib

from jobsvc.settings import SCHEMA

#: The sender of a notification that is no replica.
NOBODY = "-"
#: The second word of a notification that tells of a later timeline.
TIMELINE = "t"
#: The second word of one that tells of an API key.
API_KEYS = "k"


def channel_of(schema: str) -> str:
    """Returns the channel of the installation in a schema: those of one database have one each. Its
    name has less than 64 bytes, as PostgreSQL demands. Pure."""
    digest = hashlib.sha256(schema.encode()).hexdigest()
    return "jobsvc" if schema == SCHEMA else f"jobsvc_{digest[:32]}"


def timeline_message(system_identifier: int, timeline: int) -> str:
    """Returns the notification of a timeline that was seen elsewhere. Pure."""
    return f"{NOBODY} {TIMELINE} {system_identifier} {timeline}"


def api_key_message(key_id: str) -> str:
    """Returns the notification of an API key that was made or revoked. Pure."""
    return f"{NOBODY} {API_KEYS} {key_id}"
