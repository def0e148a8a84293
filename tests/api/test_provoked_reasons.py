"""Each reason of the contract has a test that provokes it by a call on a real channel."""

import ast
from pathlib import Path

import pytest

from tests.api.support.error_page import reasons_of_page

_API = Path(__file__).parent
#: By reason: the test, as in `file:test`.
PROVOKED_BY = {
    "INVALID_REQUEST": "test_every_wrong_field:test_refusal_names_every_wrong_field",
    "PAYLOAD_REJECTED": "test_batch_create:test_one_bad_request_undoes_all",
    "PAYLOAD_TOO_LARGE": "test_batch_create:test_one_bad_request_undoes_all",
    "PAGE_TOKEN_INVALID": "test_list_jobs:test_token_is_good_for_its_own_request_only",
    "WORK_PROTOCOL_VIOLATION": "test_work_protocol:test_first_frame_must_be_subscribe",
    "CREDENTIALS_MISSING": "test_bad_credentials:test_nobody_is_refused_by_every_method",
    "CREDENTIALS_INVALID": "test_bad_credentials:test_nobody_is_refused_by_every_method",
    "ROLE_REQUIRED": "test_bad_credentials:test_caller_with_a_role_too_little_is_refused",
    "JOB_NOT_OWNED": "test_bad_credentials:test_job_of_another_service_is_refused",
    "BULK_OPERATION_NOT_OWNED": "test_bulk_operations:test_operation_of_somebody_else_is_refused",
    "JOB_NOT_FOUND": "test_cancel_job:test_unknown_job_is_not_found",
    "QUEUE_NOT_FOUND": "test_create_bad_input:test_unknown_queue_is_not_found",
    "BULK_OPERATION_NOT_FOUND": "test_bulk_operations:test_unknown_operation_is_refused",
    "WORKER_NOT_FOUND": "test_drain_worker:test_worker_that_nobody_has_seen_is_not_found",
    "QUEUE_EXISTS": "test_create_queue:test_queue_that_exists_is_left_alone",
    "UNIQUE_KEY_TAKEN": "test_batch_create:test_taken_key_undoes_all",
    "REQUEST_ID_REUSED": "test_batch_create:test_reused_request_id_undoes_all",
    "WORKER_ID_IN_USE": "test_worker_ids:test_of_strangers_that_subscribe_at_once_one_is_served",
    "JOB_STATE_CONFLICT": "test_cancel_job:test_job_that_has_ended_otherwise_is_left_alone",
    "LEASE_LOST": "test_delete_queue:test_force_removes_all_jobs_of_the_queue_and_no_other",
    "QUEUE_NOT_EMPTY": "test_delete_queue:test_queue_with_open_jobs_stays",
    "QUEUE_BEING_DELETED": (
        "test_delete_queue:test_queue_whose_removal_was_given_up_says_so_and_is_removed_by_the_next"
        "_call"
    ),
    "ETAG_MISMATCH": "test_delete_queue:test_stale_etag_removes_nothing",
    "WORKER_REPLACED": "test_worker_ids:test_stream_with_the_token_replaces_the_one_before",
    "RATE_LIMITED": "test_admission:test_waiting_calls_are_limited_apart",
    "STREAM_LIMIT": "test_admission:test_status_streams_are_limited",
    "BULK_OPERATION_LIMIT": "test_bulk_operations:test_caller_has_a_limited_number_of_operations",
    "QUEUE_FULL": "test_max_waiting:test_creations_under_way_count_although_nothing_is_written_yet",
    "QUEUE_LIMIT": "test_queue_limit:test_update_declares_no_queue_beyond_the_limit",
    "DATABASE_UNAVAILABLE": (
        "test_database_trouble:test_database_that_goes_and_comes_back_has_two_lines_and_its_health"
    ),
    "SERVER_DRAINING": "test_drain:test_idle_worker_does_not_hold_up_the_drain",
    "SLOW_CONSUMER": "test_watch_jobs:test_reader_that_does_not_read_is_ended_and_comes_back",
    "WORKER_DEAF": "test_work_reconnect:test_unacknowledged_job_comes_again_and_the_stream_ends",
    "INTERNAL_ERROR": "test_trouble:test_unknown_error_reaches_the_caller_without_its_text",
}
#: Fixtures that make calls on a channel to a replica.
_ON_A_CHANNEL = {"channel", "jobs", "workers", "queues", "create", "leaving"}


def test_each_reason_has_its_test() -> None:
    assert PROVOKED_BY.keys() == reasons_of_page().keys()


@pytest.mark.parametrize("reason", PROVOKED_BY)
def test_that_test_expects_the_reason_of_a_call(reason: str) -> None:
    name, _, test = PROVOKED_BY[reason].partition(":")
    module = ast.parse((_API / f"{name}.py").read_text())
    by_name = {
        found.name: found
        for found in module.body
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    function = by_name[test]
    assert _ON_A_CHANNEL & {argument.arg for argument in function.args.args}
    assert reason in _texts(module, function)


def _texts(module: ast.Module, function: ast.AST) -> set[str]:
    """The texts of a function, and of all in its file, or in its support, that it names."""
    found: set[str] = set()
    todo: list[ast.AST] = [function]
    named: set[str] = set()
    while todo:
        node = todo.pop()
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                found.add(part.value)
            elif isinstance(part, ast.Name) and part.id not in named:
                named.add(part.id)
                todo += _defined(module, part.id)
    return found


def _defined(module: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a module that define a name, or of the support that it imports it from."""
    found: list[ast.stmt] = []
    for statement in module.body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if statement.name == name:
                found.append(statement)
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                found.append(statement)
            case ast.ImportFrom(module=str(path)) if path.startswith("tests.api.support"):
                if any(alias.name == name for alias in statement.names):
                    source = (_API / "support" / f"{path.rpartition('.')[2]}.py").read_text()
                    found += _defined(ast.parse(source), name)
    return found
