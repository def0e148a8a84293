#!/usr/bin/env bash
# One would guess: a schema that a library writes for a type accepts what the library's own decoder
# accepts, so a payload that passed the check at the door can be read by the worker.
#
# True (msgspec 0.22.0, jsonschema-rs 0.60.3, jsonschema 4.26.0): `msgspec.json.schema` writes
# {"type": "integer"} for an int field. JSON Schema 2020-12 counts every number without a fractional
# part as an integer, so both validators accept 3.0 and 3e0; msgspec's decoder refuses both as float
# ("Expected `int`, got `float`"). Only with strict=False does it take them, and then it also takes
# the text "3", which the schema refuses.
#
# Source: JSON Schema Core 2020-12, section 4.2.3 ("integer" matches numbers with a zero fractional
# part); msgspec's documentation of schemas does not mention the difference.
#
# Why it matters: languages without an integer type (JavaScript's clients, a protobuf Struct) send 3.0
# or nothing else. A job queue that checks with the declared schema accepts such a job, and a worker
# that decodes with the same type fails it for good, minutes later.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  msgspec==0.22.0 jsonschema-rs==0.60.3 jsonschema==4.26.0
"$dir/venv/bin/python" - <<'PYTHON'
import json
import sys

import jsonschema
import jsonschema_rs
import msgspec


class Order(msgspec.Struct):
    pieces: int


schema = msgspec.json.schema(Order)["$defs"]["Order"]
print("schema of the field:", schema["properties"]["pieces"])


def decodes(text: str, strict: bool) -> bool:
    try:
        msgspec.json.decode(text, type=Order, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


seen = {}
for text in ('{"pieces": 3}', '{"pieces": 3.0}', '{"pieces": 3e0}', '{"pieces": "3"}'):
    document = json.loads(text)
    seen[text] = (
        jsonschema_rs.Draft202012Validator(schema).is_valid(document),
        jsonschema.Draft202012Validator(schema).is_valid(document),
        decodes(text, strict=True),
        decodes(text, strict=False),
    )
    print(f"{text:16} jsonschema-rs %s, jsonschema %s, msgspec decodes: strict %s, lax %s" % seen[text])
as_described = seen == {
    '{"pieces": 3}': (True, True, True, True),
    '{"pieces": 3.0}': (True, True, False, True),
    '{"pieces": 3e0}': (True, True, False, True),
    '{"pieces": "3"}': (False, False, False, True),
}
print("as described" if as_described else "CHANGED")
sys.exit(not as_described)
PYTHON
