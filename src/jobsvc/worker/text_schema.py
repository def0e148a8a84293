"""Schemas of texts that one format does not describe. Pure."""

from typing import Any


def zoned_text(name: str, zone: bool | None) -> dict[str, Any]:
    """Schema of a time with a zone, without one (False), or either (None)."""
    names = [name] if zone else [f"{name}-local"] if zone is False else [name, f"{name}-local"]
    if len(names) == 1:
        return {"type": "string", "format": names[0]}
    return {"type": "string", "anyOf": [{"format": name} for name in names]}


def base64_text(least: int, most: int | None) -> dict[str, Any]:
    """Schema of bytes as base64: three bytes are four characters, of which up to two are `=`."""
    schema: dict[str, Any] = {"type": "string", "format": "byte", "contentEncoding": "base64"}
    either = []
    if least:
        characters, spare = 4 * -(-least // 3), -least % 3
        schema["minLength"] = characters
        if spare < 2:
            end = "[^=]=$|[^=]$" if spare else "[^=]$"
            either.append([{"minLength": characters + 1}, {"pattern": end}])
    if most is not None:
        groups, over = divmod(most, 3)
        schema["maxLength"] = 4 * (groups + (over > 0))
        if over:
            either.append([{"maxLength": 4 * groups}, {"pattern": "==$" if over == 1 else "=$"}])
    return schema | ({"allOf": [{"anyOf": choice} for choice in either]} if either else {})
