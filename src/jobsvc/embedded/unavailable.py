"""The error that the embedded PostgreSQL raises."""


class EmbeddedUnavailable(Exception):
    """The embedded PostgreSQL cannot be started. The text is one line for the operator."""
