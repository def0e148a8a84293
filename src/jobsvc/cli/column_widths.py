"""How wide the columns of the table of jobs are. Pure."""

from collections.abc import Mapping

#: Blank columns behind each.
GAP = 2
#: What a column that is too wide for the terminal gives up, in this order: the bar before queue
#: and id, and the state never. A column without width is left out.
_STEPS = (
    ("progress", 8),
    ("queue", 10),
    ("job", 13),
    ("remark", 10),
    ("progress", 0),
    ("remark", 0),
    ("queue", 0),
    ("job", 1),
)


def fit_columns(wanted: Mapping[str, int], total: int) -> dict[str, int]:
    """Returns the widths of columns that together have `total`, where `wanted` is too much."""
    widths = dict(wanted)
    for name, least in _STEPS:
        used = sum(width + GAP for width in widths.values() if width)
        if used <= total:
            break
        widths[name] = max(min(least, widths[name]), widths[name] - (used - total))
    return widths


def short_id(job_id: str, width: int) -> str:
    """Returns an id in `width` characters. Of a UUID the end is kept: jobs that were created at the
    same time begin alike."""
    if len(job_id) <= width:
        return job_id
    if len(job_id) == 36 and job_id.count("-") == 4:
        return "…" + job_id[len(job_id) - width + 1 :]
    return job_id[: width - 1] + "…"
