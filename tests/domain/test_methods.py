"""One row for each method: compared with the contract and with the documentation."""

from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from jobsvc.domain.identity import ADMIN, ROLES
from jobsvc.domain.methods import METHODS, OTHER_SERVICES, Method, method_named
from jobsvc.v1 import (
    externalscaler_pb2,
    job_service_pb2,
    queue_service_pb2,
    worker_service_pb2,
)

_PAGE = Path(__file__).parents[2] / "docs/reference/methods.md"
_SECURITY = Path(__file__).parents[2] / "docs/operations/security.md"
_CONTRACT: dict[str, MethodDescriptor] = {
    f"{service.full_name}/{method.name}": method
    for file in (job_service_pb2, worker_service_pb2, queue_service_pb2, externalscaler_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_COLUMNS = {
    "waits": "waits",
    "own_request_queue": "own request queue",
    "served_while_draining": "served while draining",
    "repeatable": "repeatable",
    "large_requests": "large requests",
    "reads": "reads",
    "reads_caller": "reads the caller",
    "audited": "audited",
}


def test_rows_are_the_methods_of_the_contract_in_their_order() -> None:
    assert [method.full_name for method in METHODS] == list(_CONTRACT)


def test_method_without_a_row_is_named() -> None:
    with pytest.raises(LookupError, match=r"jobsvc\.v1\.JobService/Forgotten has no row"):
        method_named("jobsvc.v1.JobService/Forgotten")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_row_is_found_by_its_full_name(method: Method) -> None:
    assert method_named(method.full_name) is method


def test_streams_wait() -> None:
    streams = {name for name, method in _CONTRACT.items() if method.server_streaming}
    assert streams <= {method.full_name for method in METHODS if method.waits}


def test_what_the_contract_calls_idempotent_is_repeatable() -> None:
    unknown = MethodOptions.IDEMPOTENCY_UNKNOWN
    idempotent = {
        name
        for name, method in _CONTRACT.items()
        if method.GetOptions().idempotency_level != unknown
    }
    assert idempotent <= {method.full_name for method in METHODS if method.repeatable}


def test_what_the_contract_calls_free_of_side_effects_reads() -> None:
    free = {
        name
        for name, method in _CONTRACT.items()
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        and not method.server_streaming
    }
    assert free == {method.full_name for method in METHODS if method.reads}


def test_every_method_of_a_service_that_hides_jobs_reads_the_caller() -> None:
    readers = {method.full_name for method in METHODS if method.reads_caller}
    assert readers == {name for name in _CONTRACT if name.startswith("jobsvc.v1.JobService/")}


def test_every_method_needs_a_role_that_exists() -> None:
    assert [method.full_name for method in METHODS if not method.roles] == []
    named = {role for method in METHODS for role in method.roles}
    assert named <= set(ROLES)


def test_all_services_but_ours_need_the_admin_unless_they_are_health() -> None:
    open_to_all = {name for name, roles in OTHER_SERVICES.items() if not roles}
    assert open_to_all == {"grpc.health.v1.Health"}
    assert {roles for roles in OTHER_SERVICES.values() if roles} == {(ADMIN,)}


def test_page_has_the_rows() -> None:
    page = _PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith("|")] == _table()


def test_security_page_has_the_roles() -> None:
    page = _SECURITY.read_text(encoding="utf-8")
    section = page[page.index("## Roles") : page.index("## Shares")]
    assert [line for line in section.splitlines() if line.startswith("|")] == _roles_table()


def _roles_table() -> list[str]:
    """Method by role, as Markdown."""
    roles = [role for role in ROLES if role != ADMIN]
    lines = [("method", *(f"`{role}`" for role in roles)), tuple("---" for _ in ("", *roles))]
    for method in METHODS:
        service = method.service.removeprefix("jobsvc.v1.").removeprefix("externalscaler.")
        marks = ("yes" if role in method.roles else "" for role in roles)
        lines.append((f"`{service}.{method.name}`", *marks))
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _mark(value: object) -> str:
    return f"`{value}`" if value and isinstance(value, str) else "yes" if value else ""


def _table() -> list[str]:
    """The rows as Markdown: what the page must hold."""
    titles = ("method", "roles, any of", *_COLUMNS.values())
    lines = [titles, tuple("---" for _ in titles)]
    for method in METHODS:
        marks = (_mark(getattr(method, column)) for column in _COLUMNS)
        service = method.service.removeprefix("jobsvc.v1.").removeprefix("externalscaler.")
        roles = ", ".join(f"`{role}`" for role in method.roles)
        lines.append((f"`{service}.{method.name}`", roles, *marks))
    return ["| " + " | ".join(cells) + " |" for cells in lines]
