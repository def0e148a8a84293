"""The errors that the embedded PostgreSQL raises."""


class EmbeddedUnavailable(Exception):
    """The embedded PostgreSQL cannot be started. The text is one line for the operator."""


class EmbeddedUnsuitable(EmbeddedUnavailable):
    """It cannot be started until somebody changes something: the data, the account, a setting."""
