#!/usr/bin/env bash
# One would guess: whether 19.99 is a multiple of 0.01 is arithmetic, so every JSON Schema validator
# gives the same answer, and "multipleOf": 0.01 is the way to say "an amount of money in cents".
#
# True: five well-kept validators disagree about amounts that a shop sees every day. jsonschema-rs
# 0.60.3 (Rust, for Python) and santhosh-tekuri/jsonschema 6.0.2 (Go) compute with decimals or
# fractions and accept; Python's jsonschema 4.26.0, msgspec 0.22.0 and Ajv 8.17.1 (JavaScript) divide
# doubles and refuse 19.99, 4.35 and 0.07; msgspec, whose own schema says multipleOf 0.01, refuses
# even 1.5.
#
# Source: JSON Schema Validation 2020-12, section 6.2.1, speaks of a division that results in an
# integer and leaves the precision to implementations; Ajv has the option multipleOfPrecision, off
# unless asked for.
#
# Why it matters: the service that accepts a job and the worker that reads it seldom use the same
# validator. The job is accepted here and rejected there for good, or the other way round, and which
# amounts are affected looks random. A fractional multipleOf has no portable meaning: count in cents.
#
# Needs: Python 3.11, Node.js with npm, Go.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  msgspec==0.22.0 jsonschema-rs==0.60.3 jsonschema==4.26.0
cat > "$dir/check.py" <<'PYTHON'
from typing import Annotated

import jsonschema
import jsonschema_rs
import msgspec


class Amount(msgspec.Struct):
    n: Annotated[float, msgspec.Meta(multiple_of=0.01)]


def decodes(number: float) -> bool:
    try:
        msgspec.json.decode(f'{{"n": {number}}}', type=Amount)
    except msgspec.ValidationError:
        return False
    return True


def told(answers: list[bool]) -> str:
    return " ".join("yes" if answer else "no" for answer in answers)


numbers, schema = (19.99, 4.35, 0.07, 1.5), {"multipleOf": 0.01}
print("jsonschema-rs", told([jsonschema_rs.is_valid(schema, n) for n in numbers]))
print("jsonschema", told([jsonschema.Draft202012Validator(schema).is_valid(n) for n in numbers]))
print("msgspec", told([decodes(n) for n in numbers]))
PYTHON
mkdir "$dir/node" "$dir/go"
npm install --prefix "$dir/node" --silent --no-audit --no-fund ajv@8.17.1
cat > "$dir/node/check.mjs" <<'NODE'
import Ajv from "ajv/dist/2020.js";
const check = new Ajv.default().compile({ type: "number", multipleOf: 0.01 });
console.log("ajv", [19.99, 4.35, 0.07, 1.5].map((n) => (check(n) ? "yes" : "no")).join(" "));
NODE
cat > "$dir/go/main.go" <<'GO'
package main

import (
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func read(text string) any {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cents.json", read(`{"multipleOf": 0.01}`)); err != nil {
		panic(err)
	}
	schema := compiler.MustCompile("cents.json")
	fmt.Print("santhosh-tekuri")
	for _, number := range []string{"19.99", "4.35", "0.07", "1.5"} {
		if schema.Validate(read(number)) == nil {
			fmt.Print(" yes")
		} else {
			fmt.Print(" no")
		}
	}
	fmt.Println()
}
GO
(
  cd "$dir/go"
  export GOPATH="$dir/gopath" GOFLAGS=-mod=mod
  go mod init finding >/dev/null 2>&1
  go get github.com/santhosh-tekuri/jsonschema/v6@v6.0.2 >/dev/null 2>&1
  go build -o "$dir/check" .
)
echo "is it a multiple of 0.01?   19.99 4.35 0.07 1.5"
{
  "$dir/venv/bin/python" "$dir/check.py"
  (cd "$dir/node" && node check.mjs)
  "$dir/check"
} | tee "$dir/seen"
diff - "$dir/seen" <<'SEEN' && echo "as described"
jsonschema-rs yes yes yes yes
jsonschema no no no yes
msgspec no no no no
ajv no no no yes
santhosh-tekuri yes yes yes yes
SEEN
