"""Whether a status says something new to who has seen an earlier one of the job. Pure."""


def is_later(seen: int, version: int) -> bool:
    """Returns whether to pass on a status that was not read but is known from its commit, to who
    has `seen` another version; 0 is none. Otherwise the job is read: the status may be late, or the
    database may have gone back, and only a read can tell."""
    return 0 < seen < version


def is_news(seen: object, version: object, ended: bool) -> bool:
    """Returns whether to pass on a status with this version; `seen` is that of the last one, which
    had not ended.

    Versions rise, but a failover to a standby that lagged, or a restore, takes the database back:
    then a lower version is what is true, and the end of the job may have any.
    """
    return ended or version != seen
