"""Whether this replica is about to go: new calls are refused then."""

from jobsvc.domain.errors import ServerDraining


class Lifetime:
    """Serving until `draining` is set."""

    def __init__(self) -> None:
        self.draining = False

    def check(self) -> None:
        """Lets a call in.

        Raises:
            ServerDraining: the server is about to go.
        """
        if self.draining:
            raise ServerDraining("the server is about to go; try again")
