"""What replicas call the channel of their notifications, and the one that concerns the server."""

import hashlib

from jobsvc.settings import SCHEMA

#: The second word of a notification that tells of a later timeline, after a sender that is nobody.
TIMELINE = "t"


def channel_of(schema: str) -> str:
    """Returns the channel of the installation in a schema: those of one database have one each. Its
    name has less than 64 bytes, as PostgreSQL demands. Pure."""
    digest = hashlib.sha256(schema.encode()).hexdigest()
    return "jobsvc" if schema == SCHEMA else f"jobsvc_{digest[:32]}"


def timeline_message(system_identifier: int, timeline: int) -> str:
    """Returns the notification of a timeline that was seen elsewhere. Pure."""
    return f"- {TIMELINE} {system_identifier} {timeline}"
