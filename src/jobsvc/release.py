"""The release that is installed."""

from importlib.metadata import PackageNotFoundError, version


def installed_release() -> str:
    """Its version, as pyproject.toml has it; empty where jobsvc is not installed."""
    try:
        return version("jobsvc")
    except PackageNotFoundError:
        return ""
