"""Which servers are refused, over every order in which they may be met."""

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.store.timelines import Seen, ServerIdentity, refusal

TIMELINES = st.integers(1, 4)
SERVERS = st.builds(
    ServerIdentity,
    address=st.sampled_from(["a:1", "b:2"]),
    system_identifier=st.sampled_from([7, 7, 7, 8]),
    timeline=st.none() | TIMELINES,
    seen_elsewhere=st.just(0) | TIMELINES,
)


@given(st.lists(SERVERS))
def test_no_server_is_used_below_a_timeline_that_was_seen(met: list[ServerIdentity]) -> None:
    seen: Seen | None = None
    for server in met:
        why = refusal(server, seen)
        if why is not None:
            assert server.address in why
            continue
        assert seen is None or server.system_identifier == seen.system_identifier
        if server.timeline is not None:
            assert server.timeline >= max(server.seen_elsewhere, seen.timeline if seen else 0)
            seen = Seen(server.address, server.system_identifier, server.timeline)


def test_refusal_names_the_host_to_look_at() -> None:
    why = refusal(ServerIdentity("a:1", 7, 1), Seen("b:2", 7, 2))
    assert why is not None
    assert why.endswith("timeline 1, and timeline 2 was seen at b:2; stop a:1")
    why = refusal(ServerIdentity("a:1", 7, 1, seen_elsewhere=2), None)
    assert why is not None
    assert why.endswith("timeline 2 was seen at another host; stop a:1")
    why = refusal(ServerIdentity("a:1", 8, 9), Seen("b:2", 7, 2))
    assert why is not None
    assert why.startswith("a:1 is another database (system 8) than b:2 (system 7)")
