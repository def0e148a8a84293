"""What OpenTelemetry's own variables ask for, and which one a complaint is about. Pure."""

import re
from collections.abc import Mapping

from jobsvc import extras

#: The variables that name the exporters.
TRACES = "OTEL_TRACES_EXPORTER"
METRICS = "OTEL_METRICS_EXPORTER"
#: A file in place of all other variables.
CONFIG_FILE = "OTEL_CONFIG_FILE"

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
#: What the SDK calls the exporters that extras bring.
_EXTRAS = {"otlp_proto_grpc": "otlp", "otlp_proto_http": "otlp-http"}


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Whether `OTEL_SDK_DISABLED` turns everything off."""
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def exporters(environment: Mapping[str, str], with_metrics: bool) -> dict[str, str]:
    """The exporters of spans and metrics, as values of the variables that name them.

    Where a variable is not set, or empty, an endpoint means `otlp`. Without an
    endpoint nothing is sent, other than the specification says: there need not be
    a collector on this machine.
    """

    def named(variable: str, endpoint: str) -> str:
        asked = environment.get(endpoint) or environment.get(_ENDPOINT)
        return environment.get(variable, "").strip() or ("otlp" if asked else "none")

    return {
        TRACES: named(TRACES, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        METRICS: named(METRICS, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") if with_metrics else "none",
    }


def complaint(text: str, environment: Mapping[str, str]) -> str:
    """What the SDK says of its variables, in one line that names those it may be about.

    They are those whose name or value it quotes, or whose name ends with a word of
    it (`max_queue_size`), or else all that are set. Values of headers are hidden.
    """
    for component, extra in _EXTRAS.items():
        if f"'{component}' not found" in text:
            return extras.ask_for(extra)
    variables = {k: v.strip() for k, v in environment.items() if k.startswith("OTEL_") and v}
    line = " ".join(text.split())
    for name, value in variables.items():
        if name.endswith("_HEADERS"):
            for member in filter(None, map(str.strip, value.split(","))):
                line = line.replace(member, "…")
    if any(name in line for name in variables):
        return line
    words = [word.lower() for word in re.findall(r"[A-Za-z]+(?:_[A-Za-z]+)+", line)]
    about = [
        name
        for name, value in variables.items()
        if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", line)
        or any(name.lower().endswith(word) for word in words)
    ]
    return f"{' or '.join(about or variables)}: {line}" if variables else line
