"""What the check of a payload by a JSON Schema costs at most: a bound, worked out from the schema.

Work is counted in steps, each a sub-schema applied to a value, or about 10 ns of anything else. A
payload of `n` bytes takes at most `fixed + n * per_byte` of them. The bound is found in two ways,
of which the lower counts:

- Written out: what is applied to a value, what that applies to its parts, and so on down to the
  deepest level. Sub-schemas at the same place add up; of the properties of an object, each has its
  own bytes, so the costliest counts.
- Remembered: a reference back to a schema that is being applied further up is where recursion
  multiplies. The checker keeps its results for objects and arrays there, so each such schema is
  applied to a value once, but for the smallest subtrees.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobsvc.domain.payload import MAX_LEVELS
from jobsvc.domain.schema_graph import Node, TooCostly, schema_graph

#: Steps of one check: about 80 ms if all of them are taken, which takes a payload made for it.
MAX_STEPS = 8_000_000
#: Steps at one and the same value. The compiler writes some of them out.
MAX_STEPS_AT_VALUE = 20_000
#: Fewest bytes of an item or member besides its parts: with its comma, and with a name.
_ITEM_BYTES, _NAME_BYTES, _MEMBER_BYTES = 2, 5, 6
#: Steps for each byte of an array whose items are compared with each other.
_UNIQUE_STEPS = 8
#: The checker keeps the result of a reference only if it took so many others to find it.
_LEAST_REMEMBERED = 16
#: Bounds beyond are not told apart.
_MUCH = 1e15

#: References back, by the sub-schema that has them. All are indexes of sub-schemas.
_Back = Mapping[int, set[int]]


@dataclass(frozen=True, slots=True)
class SchemaCost:
    """Bounds of one check, and of finding the violations once a payload is known to have some."""

    fixed: float
    per_byte: float
    explained_per_byte: float

    def max_bytes(self, max_steps: int) -> int:
        """The largest payload that is checked in so many steps."""
        return int(max(0.0, max_steps - self.fixed) / self.per_byte)


def schema_cost(document: Any) -> SchemaCost:
    """Returns the bounds for a schema: decoded JSON, valid by the metaschema, hence Any.

    Raises:
        TooCostly: there is no bound, or the schema is too large to look for one.
    """
    nodes = schema_graph(document)
    circles, in_place = _depth_first(nodes, lambda node: node.in_place, range(len(nodes)))
    for index in circles:
        raise TooCostly("comes back to itself without a step down the value", nodes[index].place)
    bound = _Bound(nodes, in_place)
    back, order = _depth_first(nodes, lambda node: node.applied, [0])
    if back:
        written_out = bound.written_out()
        check = min(written_out[0], bound.remembered(order, back))
        explained = bound.written_out([min(check, work) for work in written_out])[0]
    else:
        check = explained = bound.below(order, {})[0]
    text = bound.steps_per_byte[0]
    return SchemaCost(bound.steps[0], max(0.5, check + text), max(0.5, explained + text))


class _Totals:
    """Work of each sub-schema together with those that it applies to the same value."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self.once = [0.0] * len(nodes)
        #: Of what it applies alone, when that is done a second time to see what is left.
        self._again = [0.0] * len(nodes)

    def add(self, index: int, own: float, skipped: Iterable[int] = ()) -> None:
        """Adds up for one sub-schema; those that it applies must have been before."""
        node = self._nodes[index]
        every = [child for child in node.asserted + node.tried if child not in skipped]
        either = [child for child in node.either if child not in skipped]
        once = sum(self.once[c] for c in every) + max((self.once[c] for c in either), default=0)
        again = sum(self._again[c] for c in every) + sum(self._again[c] for c in either)
        again = min(_MUCH, once + again)
        self._again[index] = again
        self.once[index] = min(_MUCH, own + once + (again if node.counts_rest else 0))


class _Bound:
    """Bounds for each sub-schema of a graph, by index."""

    def __init__(self, nodes: Sequence[Node], in_place: Sequence[int]) -> None:
        """`in_place` has what is applied to the same value before what applies it.

        Raises:
            TooCostly: too much is applied to one value.
        """
        self._nodes = nodes
        self._in_place = in_place
        steps, steps_per_byte = _Totals(nodes), _Totals(nodes)
        #: Fewest bytes of a value that fits.
        self._least = [1] * len(nodes)
        for index in in_place:
            node = nodes[index]
            steps.add(index, node.steps)
            steps_per_byte.add(index, node.steps_per_byte)
            if steps.once[index] > MAX_STEPS_AT_VALUE:
                raise TooCostly(
                    f"takes more than {MAX_STEPS_AT_VALUE} steps at one value;"
                    " let fewer sub-schemas apply others",
                    node.place,
                )
            fits = (min(self._least[child] for child in one) for one in node.fits)
            self._least[index] = max(node.least_bytes, *fits, 1)
        #: Steps at one value, and for each byte of its own text.
        self.steps, self.steps_per_byte = steps.once, steps_per_byte.once

    def below(self, order: Sequence[int], back: _Back) -> list[float]:
        """Steps for each byte of the parts of a value, by one application to the value.

        `order` has what is applied before what applies it. Of the references `back`, only the work
        at the part itself counts.
        """
        below = [0.0] * len(self._nodes)
        totals = _Below(self._nodes)
        for index in order:
            skipped = back.get(index, set())
            below[index] = totals.add(index, self._own(index, below, skipped), skipped)
        return below

    def written_out(self, per_try: Sequence[float] | None = None) -> list[float]:
        """The bounds with every level written out. What a sub-schema only tries takes `per_try`, if
        that is given."""
        below = [0.0] * len(self._nodes)
        totals = _Below(self._nodes)
        changed = set(self._in_place)
        for _ in range(MAX_LEVELS):
            deeper, before, changed = below, changed, set()
            below = list(deeper)
            for index in self._in_place:
                node = self._nodes[index]
                if before.isdisjoint(node.applied) and changed.isdisjoint(node.in_place):
                    continue
                tried = node.tried if per_try else []
                tries = sum(per_try[child] for child in tried) if per_try else 0.0
                own = [work + tries for work in self._own(index, deeper)]
                below[index] = totals.add(index, own, tried)
                if below[index] != deeper[index]:
                    changed.add(index)
            if not changed or below[0] >= _MUCH:
                break
        return below

    def remembered(self, order: Sequence[int], back: _Back) -> float:
        """The bound that relies on the checker to remember the results of references back."""
        below = self.below(order, back)
        again = sum(
            self.steps[target] / _ITEM_BYTES + self.steps_per_byte[target] + below[target]
            for target in set().union(*back.values())
        )
        return below[0] + _LEAST_REMEMBERED * again

    def _own(self, index: int, below: Sequence[float], skipped: Iterable[int] = ()) -> list[float]:
        """Steps for each byte, by a sub-schema by itself: of items, of parts of items, of members,
        of parts of members. A part is one or the other."""
        node = self._nodes[index]
        if len(node.applied) == len(node.asserted) + len(node.tried) + len(node.either):
            return [_UNIQUE_STEPS * node.is_unique] * 2 + [0.0, 0.0]

        def part(child: int, own_bytes: int, least: int = 0) -> tuple[float, float]:
            deep = 0.0 if child in skipped else below[child]
            text = self.steps_per_byte[child]
            steps = self.steps[child]
            apart = steps / own_bytes + text, deep
            return (
                min(apart, (steps / least + text, steps / least + deep), key=max)
                if least
                else apart
            )

        # An item that does not fit is the last one that is looked at.
        least = _ITEM_BYTES
        item = [part(c, _ITEM_BYTES, max(least, self._least[c] + 1)) for c in node.one_item]
        items = [part(c, _ITEM_BYTES) for c in node.every_item] * (2 if node.counts_rest else 1)
        named = [part(c, _NAME_BYTES + length) for c, length in node.named]
        matched = [part(c, _MEMBER_BYTES) for c in node.matched]
        rest = [part(c, _MEMBER_BYTES) for c in node.rest]
        members = [part(c, _MEMBER_BYTES) for c in node.every_member]
        names = [(part(c, _MEMBER_BYTES)[0], 0.0) for c in node.names]
        own = []
        for depth in (0, 1):
            own.append(_most(item, depth) + _all(items, depth) + _UNIQUE_STEPS * node.is_unique)
        for depth in (0, 1):
            either = max(_most(named, depth) + _all(matched, depth), _most(rest, depth))
            own.append(either + _all(members + names, depth))
        return own


class _Below:
    """Work at the parts of a value, of each sub-schema with those applied to the same value."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._totals = [_Totals(nodes) for _ in range(4)]

    def add(self, index: int, own: Sequence[float], skipped: Iterable[int]) -> float:
        """Adds up for one sub-schema what is its own (`_own`); returns what one byte can take."""
        for totals, work in zip(self._totals, own, strict=True):
            totals.add(index, work, skipped)
        return max(totals.once[index] for totals in self._totals)


def _most(parts: Iterable[tuple[float, float]], depth: int) -> float:
    return max((part[depth] for part in parts), default=0.0)


def _all(parts: Iterable[tuple[float, float]], depth: int) -> float:
    return sum(part[depth] for part in parts)


def _depth_first(
    nodes: Sequence[Node], children: Callable[[Node], Sequence[int]], roots: Iterable[int]
) -> tuple[_Back, list[int]]:
    """Walks a graph from some nodes. Returns the edges that lead back to a node on the way to
    them, and the nodes, each after all that it leads to by other edges."""
    back: dict[int, set[int]] = {}
    order: list[int] = []
    done: dict[int, bool] = {}
    for root in roots:
        way = [] if root in done else [(root, iter(children(nodes[root])))]
        done.setdefault(root, False)
        while way:
            index, left = way[-1]
            child = next(left, None)
            if child is None:
                way.pop()
                done[index] = True
                order.append(index)
            elif child not in done:
                done[child] = False
                way.append((child, iter(children(nodes[child]))))
            elif not done[child]:
                back.setdefault(index, set()).add(child)
    return back, order
