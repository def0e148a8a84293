"""What is raised when the embedded PostgreSQL cannot serve."""


class EmbeddedUnavailable(Exception):
    """The embedded PostgreSQL cannot be started. The text is one line for the operator."""
