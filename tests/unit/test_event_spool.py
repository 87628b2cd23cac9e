import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keepwell.v1 import lead_pb2

from server.cli import event_spool
from server.cli.event_spool import EventSpool


def event(number: int, seconds: int) -> lead_pb2.LeadEvent:
    made = lead_pb2.LeadEvent(event_id=str(number))
    made.occur_time.FromSeconds(seconds)
    return made


@settings(max_examples=50, deadline=None)
@given(times=st.lists(st.integers(0, 5 * 86_400), max_size=40), held=st.integers(1, 50))
def test_events_come_back_in_the_order_of_time_however_few_are_held(times: list[int], held: int) -> None:
    made = [event(number, seconds) for number, seconds in enumerate(times)]
    with pytest.MonkeyPatch.context() as patch, EventSpool() as spool:
        patch.setattr(event_spool, "HELD_EVENTS", held)
        for each in made:
            spool.add(each)
        assert spool.count == len(made)
        assert list(spool.events()) == sorted(made, key=lambda each: each.occur_time.seconds)
