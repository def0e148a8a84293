"""Plans of statements, as the store's sessions make them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from jobsvc.store.store import Store

#: The tables that grow, in number of rows or in what has been through them.
BIG_TABLES = {"job", "waiting", "lease", "result", "attempt", "held_key"}
Node = dict[str, Any]


async def plan(store: Store, name: str) -> Node:
    """The generic plan of a statement, under the settings of the store's sessions."""
    statement = store.database.sql[name]
    count = max(map(int, re.findall(r"\$(\d+)", statement)))
    async with store.database.connection() as connection:
        await connection.execute(f"PREPARE planned AS {statement}")
        nothing = ", ".join(["NULL"] * count)
        rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE planned ({nothing})")
        await connection.execute("DEALLOCATE planned")
    found: Node = json.loads(rows[0][0])[0]["Plan"]
    return found


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


def scans(node: Node) -> list[Node]:
    return [n for n in nodes(node) if "Scan" in n["Node Type"] and n.get("Relation Name")]
