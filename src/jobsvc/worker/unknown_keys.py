"""The mark of a class whose objects may hold keys that it does not name."""

from typing import Any, TypeVar

C = TypeVar("C", bound=type)

_MARK = "__jobsvc_allows_unknown_keys__"


def allow_unknown_keys(cls: C) -> C:
    """Marks a dataclass, Struct or TypedDict: its objects may hold keys that it does not name.

    Such keys are ignored. Without the mark a job whose input has one is refused at the
    door, as it may be a misspelt name. Subclasses inherit the mark, but a TypedDict does not.
    """
    setattr(cls, _MARK, True)
    return cls


def allows_unknown_keys(cls: Any) -> bool:
    """Whether a class, or the class of a generic alias, has the mark."""
    return getattr(getattr(cls, "__origin__", cls), _MARK, False) is True
