"""Who a client acts for: somebody, or nobody on purpose."""

from collections.abc import Callable
from typing import Any

import pytest

from jobsvc.client import AsyncClient, Client
from jobsvc.v1 import job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Peer

_BAD_IDS = ("", "   ", "ä", "a\n", "\0", "s" * 257)
_BAD_TOKENS = ("", "to ken", "token\n", "ä")


@pytest.mark.parametrize("kind", [AsyncClient, Client])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("session_id", value) for value in _BAD_IDS),
        *(("user_id", value) for value in _BAD_IDS),
        *(("token", value) for value in _BAD_TOKENS),
    ],
)
def test_what_no_call_could_carry_is_refused_at_once_and_not_shown(
    kind: Callable[..., object], name: str, value: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be ") as refused:
        kind("127.0.0.1:1", **{name: value})
    assert not value or value not in str(refused.value)


async def test_a_token_is_checked_when_it_is_made(connect: Any, peer: Peer) -> None:
    client = await connect(token=lambda: "")
    with pytest.raises(ValueError, match="token"):
        await client.get(JOB_ID)
    assert peer.calls == []


@pytest.mark.parametrize("session", ["~" * 256, "Opaque session 42/+=", " a "])
async def test_every_id_of_the_alphabet_arrives(connect: Any, peer: Peer, session: str) -> None:
    client = await connect(session_id=session, user_id="!")
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    await client.get(JOB_ID)
    metadata = peer.calls[0].metadata
    assert (metadata["x-session-id"], metadata["x-user-id"]) == (session, "!")
