#!/usr/bin/env bash
# One would guess: the schema that msgspec writes for a field of type datetime says "date-time", as it
# says "uuid" for a UUID and "duration" for a timedelta, so a validator that asserts formats refuses
# "yesterday" where the decoder would.
#
# True (msgspec 0.22.0): for a plain `datetime` the schema is {"type": "string"}, any text. Only with
# `Meta(tz=True)` does the format "date-time" appear. The decoder wants RFC 3339 in all cases. bytes
# get "contentEncoding": "base64", an annotation that validators do not assert, and Decimal gets the
# format "decimal", which JSON Schema does not define, so jsonschema-rs 0.60.3 ignores it.
#
# Source: msgspec's schema generation writes a format only if the time zone is known to be required;
# JSON Schema Validation 2020-12, sections 7.3 and 8.
#
# Why it matters: a queue's input schema made from Python types lets a malformed time through at the
# door, the caller is told OK, and the worker that declared the schema cannot decode the job.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 jsonschema-rs==0.60.3
"$dir/venv/bin/python" - <<'PYTHON' | tee "$dir/seen"
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import jsonschema_rs
import msgspec

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
Naive = Annotated[datetime, msgspec.Meta(tz=False)]
for name, kind in (
    ("datetime", datetime),
    ("datetime, tz=True", Aware),
    ("datetime, tz=False", Naive),
    ("UUID", UUID),
    ("bytes", bytes),
    ("Decimal", Decimal),
):
    schema = msgspec.json.schema(kind)
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    try:
        msgspec.json.decode('"yesterday!"', type=kind)
        decoded = "decodes"
    except msgspec.ValidationError:
        decoded = "does not decode"
    accepted = "accepted" if validator.is_valid("yesterday!") else "refused"
    print(f"{name}: {schema} -> {accepted}, {decoded}")
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
datetime: {'type': 'string'} -> accepted, does not decode
datetime, tz=True: {'type': 'string', 'format': 'date-time'} -> refused, does not decode
datetime, tz=False: {'type': 'string'} -> accepted, does not decode
UUID: {'type': 'string', 'format': 'uuid'} -> refused, does not decode
bytes: {'type': 'string', 'contentEncoding': 'base64'} -> accepted, does not decode
Decimal: {'type': 'string', 'format': 'decimal'} -> accepted, does not decode
SEEN
