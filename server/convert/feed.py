"""Requests to follow the feed, checked, as the feed takes them; deliveries as bytes."""

from google.protobuf.duration_pb2 import Duration
from keepwell.v1 import feed_service_pb2 as messages

from rules.vocabulary import Channel, Stage, Verdict
from server.convert.checks import Checker, timestamp_of
from server.convert.pieces import embedded
from server.feed.item import FeedFilter, FeedItem
from server.feed.token import order
from server.store.subscriptions import Gap, Terms

FILTER_LEADS = 1_000
HEARTBEAT_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 15.0, 0.1, 300.0
OUTSTANDING, MOST_OUTSTANDING = 100, 1_000
ATTEMPTS, MOST_ATTEMPTS = 5, 100
DEADLINE_SECONDS, SHORTEST_DEADLINE_SECONDS, LONGEST_DEADLINE_SECONDS = 30.0, 0.1, 3_600.0
LONGEST_RETRY_SECONDS = 604_800.0


def filter_of(check: Checker, wanted: messages.FeedFilter) -> FeedFilter:
    """Return a filter; what is wrong with it is noted under `filter`."""
    for name, values, kind in (
        ("stages", set(map(int, wanted.stages)), Stage),
        ("channels", set(map(int, wanted.channels)), Channel),
        ("verdicts", set(map(int, wanted.verdicts)), Verdict),
    ):
        for place, value in enumerate(sorted(values)):
            if value not in set(map(int, kind)):
                check.note(f"filter.{name}[{place}]", f"must be one of {', '.join(member.name for member in kind)}")
    if len(wanted.lead_ids) > FILTER_LEADS:
        check.note("filter.lead_ids", f"must be at most {FILTER_LEADS}")
    for place, lead_id in enumerate(wanted.lead_ids[:FILTER_LEADS]):
        check.identifier(f"filter.lead_ids[{place}]", lead_id)
    stages, channels, verdicts = (frozenset(map(int, v)) for v in (wanted.stages, wanted.channels, wanted.verdicts))
    return FeedFilter(stages, channels, verdicts, frozenset(wanted.lead_ids), wanted.escalations_only)


def filter_bytes(wanted: messages.FeedFilter) -> bytes:
    """Return a filter's bytes: the same for every filter that lets the same through."""
    canonical = messages.FeedFilter(
        stages=sorted(set(wanted.stages)),
        channels=sorted(set(wanted.channels)),
        verdicts=sorted(set(wanted.verdicts)),
        lead_ids=sorted(set(wanted.lead_ids)),
        escalations_only=wanted.escalations_only,
    )
    return canonical.SerializeToString(deterministic=True)


def seconds_of(check: Checker, path: str, given: Duration, shortest: float, longest: float) -> float:
    """Return a duration in seconds; noted when it is out of range."""
    seconds = given.seconds + given.nanos / 1e9
    if not shortest <= seconds <= longest:
        check.note(path, f"must be {shortest:g} to {longest:g} seconds")
    return seconds


def watch_of(request: messages.WatchDecisionsRequest) -> tuple[FeedFilter, float]:
    """Return what a watcher wants, and its heartbeat in seconds; raises InvalidFieldsError."""
    check = Checker()
    wanted = filter_of(check, request.filter)
    heartbeat = HEARTBEAT_SECONDS
    if request.HasField("heartbeat"):
        heartbeat = seconds_of(check, "heartbeat", request.heartbeat, SHORTEST_SECONDS, LONGEST_SECONDS)
    check.raise_if_any()
    return wanted, heartbeat


def terms_of(request: messages.SubscribeRequest) -> tuple[FeedFilter, Terms]:
    """Return what a subscription is about, and what its consumer asks for; raises InvalidFieldsError."""
    check = Checker()
    check.identifier("subscription", request.subscription)
    check.identifier("consumer", request.consumer)
    wanted = filter_of(check, request.filter)
    if not 0 <= request.max_outstanding <= MOST_OUTSTANDING:
        check.note("max_outstanding", f"must be 0 to {MOST_OUTSTANDING}")
    if not 0 <= request.max_attempts <= MOST_ATTEMPTS:
        check.note("max_attempts", f"must be 0 to {MOST_ATTEMPTS}")
    deadline = DEADLINE_SECONDS
    if request.HasField("ack_deadline"):
        deadline = seconds_of(
            check, "ack_deadline", request.ack_deadline, SHORTEST_DEADLINE_SECONDS, LONGEST_DEADLINE_SECONDS
        )
    check.raise_if_any()
    terms = Terms(
        request.consumer,
        request.max_outstanding or OUTSTANDING,
        round(deadline * 1_000),
        request.max_attempts or ATTEMPTS,
    )
    return wanted, terms


def delivery_bytes(delivery_id: str, attempt: int, item: FeedItem) -> bytes:
    """Return one delivery as a field of a message that carries many."""
    # The item's bytes are a decision as field 1; in a delivery it is field 3.
    head = embedded(1, delivery_id.encode()) + messages.Delivery(attempt=attempt).SerializeToString()
    return embedded(1, head + b"\x1a" + item.field[1:])


def gap_bytes(delivery_id: str, gap: Gap) -> bytes:
    """Return a gap as a field of a message that carries many deliveries."""
    message = messages.FeedGap(
        missed=gap.missed,
        first_time=timestamp_of(order(gap.first)[0]),
        last_time=timestamp_of(order(gap.last)[0]),
        first_log_id=gap.first,
        last_log_id=gap.last,
    )
    delivery = messages.Delivery(delivery_id=delivery_id, attempt=gap.attempt, gap=message)
    return embedded(1, delivery.SerializeToString())
