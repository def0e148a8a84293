"""A JSON Schema as a graph: which sub-schemas are applied where. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urljoin

from jobsvc.domain.keyword_cost import SEARCH_STEPS, keyword_cost
from jobsvc.domain.pattern_cost import pattern_cost

#: Sub-schemas that can be reached. Compiling so many takes about 50 ms.
MAX_SUBSCHEMAS = 2000
MAX_SCHEMA_LEVELS = 100
_MAX_PLACE_CHARACTERS = 300
#: Bounds of the regular expressions of a schema, each and together: compiling them takes about as
#: many microseconds as they have `size`, and a quarter of one for each shorthand and character.
MAX_PATTERN_CHARACTERS = 1000
_MAX_PATTERN_SIZE = 5000
_MAX_SHORTHANDS = 100_000
_SHORTHANDS = (r"\d", r"\D", r"\w", r"\W", r"\s", r"\S")
_COUNTS_REST = {"unevaluatedProperties", "unevaluatedItems"}
#: Keywords whose values are no schemas, whatever they look like.
_NO_SCHEMAS = {"enum", "const", "default", "examples"}


class TooCostly(Exception):
    """A schema is beyond a bound. The text says why, and `place` where: a path in the schema."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.place = place


@dataclass(slots=True)
class Node:
    """A sub-schema, and the sub-schemas that it applies, by their index in the graph."""

    place: str
    #: Work of one application, without other sub-schemas, and for each byte of the value itself.
    steps: float = 1.0
    steps_per_byte: float = 0.0
    is_unique: bool = False
    #: Fewest bytes of a value that fits, as far as `required` says. It fits one of each of `fits`.
    least_bytes: int = 1
    fits: list[list[int]] = field(default_factory=list)
    #: Whether what it applies to the same value is applied again, to see what is left.
    counts_rest: bool = False
    #: Applied to the same value: all of `asserted` must fit; what comes of `tried` is looked at;
    #: one of `either` is applied at most.
    asserted: list[int] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    either: list[int] = field(default_factory=list)
    #: One of them, if any, is applied to an item; each of the others to every item.
    one_item: list[int] = field(default_factory=list)
    every_item: list[int] = field(default_factory=list)
    #: Applied to members of an object, with the length of the name; to members whose names match;
    #: to the rest; to every member; to every name.
    named: list[tuple[int, int]] = field(default_factory=list)
    matched: list[int] = field(default_factory=list)
    rest: list[int] = field(default_factory=list)
    every_member: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)

    #: All that it applies, in the order of the document, which is that of the compiler.
    applied: list[int] = field(default_factory=list)

    @property
    def in_place(self) -> list[int]:
        """All that is applied to the same value."""
        return self.asserted + self.tried + self.either


def schema_graph(document: Any) -> list[Node]:
    """Returns the sub-schemas that a schema can reach; the first is the schema itself.

    `document` is decoded JSON, a schema by the metaschema, hence Any.

    Raises:
        TooCostly: it has too many or nested too deeply, a regular expression that is too long, or
            a reference that leads to no schema within it.
    """
    return _Walk(document).nodes


class _Walk:
    """One walk through a document, from its root along everything that it applies."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._bases: dict[int, str] = {}
        self._resources: dict[str, Any] = {}
        self._anchors: dict[tuple[str, str], Any] = {}
        self._dynamic: dict[str, list[Any]] = {}
        self._pattern_size = self._shorthands = 0
        self._index: dict[int, int] = {}
        self._to_read: list[tuple[Any, Node]] = []
        self.nodes: list[Node] = []
        self._note_names()
        self._add(document, "")
        while self._to_read:
            self._read(*self._to_read.pop())

    def _note_names(self) -> None:
        """Finds every `$id` and anchor, and the base of every reference."""
        levels = [(self._document, "", 0)]
        while levels:
            value, base, level = levels.pop()
            if level > MAX_SCHEMA_LEVELS:
                raise TooCostly(f"nests deeper than {MAX_SCHEMA_LEVELS} levels")
            if isinstance(value, list):
                levels += [(item, base, level + 1) for item in value]
            if not isinstance(value, dict):
                continue
            if isinstance(own := value.get("$id"), str):
                base = urljoin(base, own).rstrip("#")
            if own is not None or not level:
                self._resources[base] = value
            self._bases[id(value)] = base
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := value.get(keyword), str):
                    self._anchors[base, name] = value
                    if keyword == "$dynamicAnchor":
                        self._dynamic.setdefault(name, []).append(value)
            levels += [(item, base, level + 1) for k, item in value.items() if k not in _NO_SCHEMAS]

    def _add(self, schema: Any, place: str) -> int:
        known = self._index.get(id(schema)) if isinstance(schema, dict) else None
        if known is not None:
            return known
        if len(self.nodes) >= MAX_SUBSCHEMAS:
            raise TooCostly(f"has more than {MAX_SUBSCHEMAS} sub-schemas")
        node = Node(place)
        self.nodes.append(node)
        index = len(self.nodes) - 1
        if isinstance(schema, dict):
            self._index[id(schema)] = index
            self._to_read.append((schema, node))
        return index

    def _read(self, schema: dict[str, Any], node: Node) -> None:
        node.steps = 1 + len(schema) / 2
        for keyword, value in schema.items():
            place = f"{node.place}.{keyword}"[:_MAX_PLACE_CHARACTERS]
            match keyword:
                case "$ref" | "$dynamicRef":
                    targets = self._targets(schema, keyword, value)
                    place = value.lstrip("#").replace("/", ".")[:_MAX_PLACE_CHARACTERS]
                    node.fits.append([self._apply(node, target, place) for target in targets])
                    node.asserted += node.fits[-1]
                case "allOf":
                    node.asserted += self._apply_all(node, value, place)
                    node.fits += [[child] for child in node.asserted[-len(value) :]]
                case "anyOf" | "oneOf":
                    node.fits.append(self._apply_all(node, value, place))
                    node.tried += node.fits[-1]
                case "not" | "if":
                    node.tried.append(self._apply(node, value, place))
                case "then" | "else" if "if" in schema:
                    node.either.append(self._apply(node, value, place))
                case "dependentSchemas" | "dependencies":
                    node.steps += len(value)
                    schemas = {k: v for k, v in value.items() if not isinstance(v, list)}
                    node.asserted += self._apply_all(node, schemas, place)
                case "prefixItems":
                    node.one_item += self._apply_all(node, value, place)
                case "items":
                    node.one_item.append(self._apply(node, value, place))
                case "contains" | "unevaluatedItems":
                    node.every_item.append(self._apply(node, value, place))
                case "properties":
                    children = self._apply_all(node, value, place)
                    node.named += zip(children, map(len, value), strict=True)
                case "patternProperties":
                    node.matched += self._apply_all(node, value, place)
                    # The rest is what matches none: each is tried again.
                    times = 2 if "additionalProperties" in schema else 1
                    for pattern in value:
                        node.steps_per_byte += times * self._pattern(pattern, f"{place}.{pattern}")
                        node.steps += SEARCH_STEPS
                case "additionalProperties":
                    node.rest.append(self._apply(node, value, place))
                case "unevaluatedProperties":
                    node.every_member.append(self._apply(node, value, place))
                case "propertyNames":
                    node.names.append(self._apply(node, value, place))
                case "pattern":
                    node.steps_per_byte += self._pattern(value, place)
                    node.steps += SEARCH_STEPS
                case "uniqueItems":
                    node.is_unique = value
                case _:
                    steps, steps_per_byte = keyword_cost(keyword, value)
                    node.steps += steps
                    node.steps_per_byte += steps_per_byte
        if len(node.either) == 2:
            node.fits.append(node.either)
        node.counts_rest = not schema.keys().isdisjoint(_COUNTS_REST)
        if schema.get("type") == "object":
            node.least_bytes = max(2, sum(len(name) + 5 for name in schema.get("required", ())))

    def _apply(self, node: Node, schema: Any, place: str) -> int:
        child = self._add(schema, place)
        node.applied.append(child)
        return child

    def _apply_all(self, node: Node, schemas: Any, place: str) -> list[int]:
        named = (
            [(f"{place}.{name}", schema) for name, schema in schemas.items()]
            if isinstance(schemas, dict)
            else [(f"{place}[{n}]", schema) for n, schema in enumerate(schemas)]
        )
        return [self._apply(node, child, at[:_MAX_PLACE_CHARACTERS]) for at, child in named]

    def _pattern(self, pattern: str, place: str) -> float:
        cost = pattern_cost(pattern)
        self._pattern_size += cost.size
        self._shorthands += len(pattern) * sum(map(pattern.count, _SHORTHANDS))
        if len(pattern) > MAX_PATTERN_CHARACTERS:
            raise TooCostly(f"must have at most {MAX_PATTERN_CHARACTERS} characters", place)
        if self._pattern_size > _MAX_PATTERN_SIZE or self._shorthands > _MAX_SHORTHANDS:
            raise TooCostly(
                "is too large a regular expression, by itself or with those before it;"
                " maxLength bounds a text better than {m,n} does",
                place,
            )
        return cost.steps_per_byte

    def _targets(self, schema: dict[str, Any], keyword: str, reference: str) -> Iterator[Any]:
        base = self._bases[id(schema)]
        uri, _, fragment = (
            (base + reference) if reference.startswith("#") else urljoin(base, reference)
        ).partition("#")
        targets = list(self._dynamic.get(fragment, ())) if keyword == "$dynamicRef" else []
        target = self._anchors.get((uri, fragment))
        if target is None and uri in self._resources and (fragment[:1] in ("", "/")):
            target = part_at(self._resources[uri], fragment)
        if target is not None and not any(target is other for other in targets):
            targets.append(target)
        if not targets:
            raise TooCostly(f"{reference[:200]!r} leads to nothing within the schema")
        yield from targets


def part_at(document: Any, pointer: str) -> Any:
    """The schema in a document at a JSON pointer; None if there is none."""
    for step in pointer.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document if isinstance(document, dict | bool) else None
