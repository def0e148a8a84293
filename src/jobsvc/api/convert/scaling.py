"""Reads what a trigger of KEDA says, and writes metrics for it."""

import math
from collections.abc import Mapping

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.scaling import DEFAULT_TARGETS, ScaleBy, ScaleRule
from jobsvc.v1 import externalscaler_pb2 as pb

QUEUE = "queue"
BY = "by"
TARGET = "targetValue"
ACTIVATION = "activationValue"
#: KEDA adds keys of its own, such as `scalerAddress`.
KEYS = (QUEUE, BY, TARGET, ACTIVATION)

_MAX_NUMBER = 1e9
_MIN_TARGET = 0.001


def read_rule(trigger: pb.ScaledObjectRef, field: str = "scaler_metadata") -> ScaleRule:
    """Returns the rule in the metadata of a trigger.

    Raises:
        InvalidRequest: something is wrong with one of our keys.
    """
    checks = RequestChecks()
    metadata = trigger.scaler_metadata
    for key in metadata:
        if key not in KEYS and (meant := _meant(key)):
            checks.add(f"{field}[{key[:80]!r}]", f"is not known; write {meant}")
    queue = checks.queue(f"{field}[{QUEUE!r}]", metadata.get(QUEUE, ""))
    by = ScaleBy.DEPTH
    if (asked := metadata.get(BY, ScaleBy.DEPTH)) in list(ScaleBy):
        by = ScaleBy(asked)
    else:
        checks.add(f"{field}[{BY!r}]", f"must be one of {', '.join(ScaleBy)}")
    target = _number(checks, metadata, field, TARGET, DEFAULT_TARGETS[by], _MIN_TARGET)
    activation = _number(checks, metadata, field, ACTIVATION, 0.0, 0.0)
    checks.raise_if_violated()
    return ScaleRule(queue, by, target, activation)


def write_spec(rule: ScaleRule) -> pb.GetMetricSpecResponse:
    """Returns the metric of a rule and its target."""
    spec = pb.MetricSpec(
        metric_name=rule.metric_name,
        target_size=math.ceil(rule.target),
        target_size_float=rule.target,
    )
    return pb.GetMetricSpecResponse(metric_specs=[spec])


def write_value(rule: ScaleRule, value: float) -> pb.GetMetricsResponse:
    """Returns the value of the metric of a rule."""
    metric = pb.MetricValue(
        metric_name=rule.metric_name, metric_value=math.ceil(value), metric_value_float=value
    )
    return pb.GetMetricsResponse(metric_values=[metric])


def _meant(key: str) -> str | None:
    """The key of ours that somebody meant who wrote this one; None for the keys of others."""
    plain = key.replace("_", "").replace("-", "").lower()
    return next((known for known in KEYS if known.lower() == plain), None)


def _number(
    checks: RequestChecks,
    metadata: Mapping[str, str],
    field: str,
    key: str,
    default: float,
    minimum: float,
) -> float:
    text = metadata.get(key)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not minimum <= number <= _MAX_NUMBER:
        checks.add(f"{field}[{key!r}]", f"must be a number between {minimum:g} and {_MAX_NUMBER:g}")
    return number
