from collections import Counter
from datetime import UTC, timedelta

from server.store.connection import Store
from server.store.escalations import read_changes
from server.store.keys import Partition
from tests.integration.escalations import ACKNOWLEDGED, EXPIRED, HOUR, OPEN, Escalations, until, with_store
from tests.integration.outcomes import NOW


def test_nobody_answers_so_it_goes_to_the_director_and_then_expires(escalations: Escalations) -> None:
    name = escalations.raised()
    changes = escalations.watch()
    escalations.move_clock(HOUR - timedelta(milliseconds=1))
    assert escalations.get(name).level == 1
    escalations.move_clock(timedelta(milliseconds=1))
    second = until(changes, name, level=2)
    assert (second.target, second.state, second.due_time.ToDatetime(UTC)) == ("director", OPEN, NOW + 2 * HOUR)
    escalations.move_clock(HOUR)
    last = until(changes, name, state=EXPIRED)
    assert (last.level, last.resolution) == (2, "nobody acknowledged it in time")
    assert not escalations.view().HasField("escalation")
    assert escalations.leads(states=[OPEN, ACKNOWLEDGED]) == []


def test_what_somebody_has_does_not_move_on(escalations: Escalations) -> None:
    name, other = escalations.raised("lead"), escalations.raised("other")
    escalations.acknowledge(name)
    changes = escalations.watch()
    escalations.move_clock(HOUR)
    until(changes, other, level=2)
    assert (escalations.get(name).state, escalations.get(name).level) == (ACKNOWLEDGED, 1)


def test_two_replicas_move_each_of_many_on_exactly_once(
    escalations: Escalations, escalation_store: str, tenant: str
) -> None:
    names = {escalations.raised(f"lead-{number}") for number in range(60)}
    escalations.move_clock(HOUR)
    moved: Counter[str] = Counter()
    for response in escalations.watch():
        moved.update(each.escalation_id for each in response.escalations if each.level == 2)
        if moved.keys() == names:
            break
    escalations.move_clock(timedelta(seconds=31))  # past the visibility time: whoever took some may take them again
    escalations.raised("one-more")

    async def changes(client: Store) -> Counter[tuple[str, int]]:
        entries, _ = await read_changes(client, Partition(tenant, 0), "0-0", 10_000)
        return Counter((entry.case.escalation_id, entry.case.level) for entry in entries)

    counts = with_store(escalation_store, changes)
    assert {counts[name, 1] for name in names} == {1}
    assert {counts[name, 2] for name in names} == {1}
