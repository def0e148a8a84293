"""The optional parts of the installation, and the one sentence that asks for a missing one."""

from importlib.util import find_spec

#: Modules that an extra of pyproject.toml brings. The embedded PostgreSQL asks for its own.
MODULES = {
    "auth": ("cryptography", "joserfc"),
    "cli": ("typer", "rich", "grpc_health"),
    "server": ("asyncpg", "grpc_channelz", "grpc_reflection", "jsonschema_rs"),
    "otlp": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc"),
    "otlp-http": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "prometheus": ("opentelemetry.sdk", "opentelemetry.exporter.prometheus"),
}


class NotInstalled(Exception):
    """The installation lacks something optional. The text is one sentence for the user."""


def ask_for(extra: str) -> str:
    """The sentence that names a missing extra and the command that installs it."""
    return f"the extra `{extra}` is not installed: pip install 'jobsvc[{extra}]'"


def explain(error: ModuleNotFoundError) -> str | None:
    """`ask_for` the extra that brings the module; None for a module that no extra brings."""
    missing = f"{error.name}."
    for extra, modules in MODULES.items():
        # For `import a.b` the error may name `a`, or a module within `a.b`.
        prefixes = [f"{module}." for module in modules]
        if any(missing.startswith(prefix) or prefix.startswith(missing) for prefix in prefixes):
            return ask_for(extra)
    return None


def is_installed(extra: str) -> bool:
    """Whether all modules of the extra are there. Imports only the packages that hold them."""
    try:
        return all(find_spec(module) for module in MODULES[extra])
    except ModuleNotFoundError:
        return False
