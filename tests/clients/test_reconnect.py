import pytest
from google.rpc.code_pb2 import CANCELLED, INVALID_ARGUMENT, UNAVAILABLE
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from keepwell_client.errors import KeepwellError, UnreachableError, error_of
from keepwell_client.reconnect import Reconnect

GONE = error_of(Status(code=UNAVAILABLE))


def test_delays_double_up_to_five_seconds_and_start_anew_when_something_arrived() -> None:
    reconnect = Reconnect(300, now=0)
    delays = [reconnect.delay(GONE, now=0) for _ in range(8)]
    for delay, bound in zip(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0], strict=True):
        assert bound / 2 <= delay <= bound
    reconnect.arrived()
    assert reconnect.delay(GONE, now=0) <= 0.1


def test_the_service_says_how_long_to_wait_at_least() -> None:
    status = Status(code=UNAVAILABLE)
    retry = RetryInfo()
    retry.retry_delay.FromSeconds(30)
    status.details.add().Pack(retry)
    assert Reconnect(300, now=0).delay(error_of(status), now=0) == 30


def test_patience_ends_with_the_error_only_after_its_last_second() -> None:
    reconnect = Reconnect(300, now=1_000)
    reconnect.opened(now=1_299)
    reconnect.delay(GONE, now=1_300)
    with pytest.raises(KeepwellError):
        reconnect.delay(GONE, now=1_300.001)


def test_a_stream_that_lasted_was_alive_even_if_nothing_came() -> None:
    reconnect = Reconnect(300, now=0)
    reconnect.opened(now=0)
    assert reconnect.delay(GONE, now=10_000) <= 0.1


def test_what_opening_again_cannot_help_is_raised_at_once() -> None:
    with pytest.raises(KeepwellError):
        Reconnect(300, now=0).delay(error_of(Status(code=INVALID_ARGUMENT)), now=0)


def test_a_server_that_ended_under_the_call_is_waited_for() -> None:
    cut = error_of(Status(code=CANCELLED))
    assert isinstance(cut, UnreachableError)
    assert Reconnect(300, now=0).delay(cut, now=0) <= 0.1


def test_a_service_that_drains_is_waited_for() -> None:
    assert Reconnect(0, now=0).delay(None, now=100) <= 0.1
