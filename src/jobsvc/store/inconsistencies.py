"""A look at a whole database for rows that contradict each other."""

from jobsvc.domain.inconsistency import Inconsistency, Kind
from jobsvc.store.ddl import ddl_transaction
from jobsvc.store.statement import texts

_MAX_NAMES = 5


async def find_inconsistencies(dsn: str, schema: str) -> list[Inconsistency]:
    """Returns what is wrong with the rows. Changes nothing. The schema must be up to date, as
    `rights.missing_for_serving` says.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`.
    """
    async with ddl_transaction(dsn, schema) as connection:
        rows = await connection.fetch(texts(schema)["find_inconsistencies"], schema, _MAX_NAMES)
    return [
        Inconsistency(Kind(row["kind"]), row["number"], tuple(row["names"] or ())) for row in rows
    ]
