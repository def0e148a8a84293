"""The metrics of several processes as those of one, in the text format of Prometheus. Pure.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Mapping

#: The label that says which process a sample is of.
LABEL = "process"


def merge(texts: Mapping[int, str]) -> str:
    """Returns one text with the samples of all processes, each with the label `process`, by the
    number of the process. The lines about a metric are there once, before all of its samples, as
    the format demands; where processes differ in them, those of the first one."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in sorted(texts.items()):
        is_known, metric = False, ""
        for line in text.split("\n"):  # labels may hold what ends a line elsewhere
            if line.startswith(("# HELP ", "# TYPE ")):
                name = line.split(" ", 3)[2]
                if name != metric:
                    metric, is_known = name, name in heads
                if not is_known:
                    heads.setdefault(metric, []).append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(metric, []).append(_labelled(line, process))
    lines = [line for metric, found in samples.items() for line in (*heads.get(metric, ()), *found)]
    return "".join(f"{line}\n" for line in lines)


def _labelled(sample: str, process: int) -> str:
    """`name{a="b"} 1` or `name 1` with one more label: the name of a metric has neither { nor
    blanks."""
    end = next((at for at, character in enumerate(sample) if character in "{ "), len(sample))
    name, rest = sample[:end], sample[end:]
    label = f'{LABEL}="{process}"'
    if not rest.startswith("{"):
        return f"{name}{{{label}}}{rest}"
    others = rest[1:]
    comma = "" if others.startswith("}") else ","
    return f"{name}{{{label}{comma}{others}"
