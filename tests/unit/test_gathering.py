"""What is read for a batch, and how its jobs come together again with what was found."""

import asyncio

from server.road.gathering import Part, by_partition, work_of
from server.road.job import Asked, DecideInput
from server.road.ticket import Job, Ticket, decision_jobs
from server.store.batch import NEW_LEAD, GatherQuery, Snapshot, StoredLead
from server.store.commands import gather_commands, last_log_id, snapshot_of
from server.store.keys import Partition

PARTITION = Partition("t", 0)
QUERY = GatherQuery(PARTITION, "store", ("20260301", "20260302"), 9, [], ["a", "b"], ["d1"], ["known", "unknown"])


async def test_jobs_are_parted_by_tenant_and_clock_and_keep_their_order() -> None:
    ticket = Ticket(4, asyncio.get_running_loop())
    places = [("t", "store"), ("u", "store"), ("t", "manual"), ("t", "store")]
    jobs = [Job(tenant, clock, "lead", ticket, place) for place, (tenant, clock) in enumerate(places)]
    parted = {key: [job.place for job in group] for key, group in by_partition(jobs, 1).items()}
    assert parted == {
        (PARTITION, "store"): [0, 3],
        (Partition("u", 0), "store"): [1],
        (PARTITION, "manual"): [2],
    }


async def test_what_is_asked_is_a_request_already_or_is_read_later() -> None:
    request = DecideInput("a", "d1", bytes(16))
    ticket = Ticket(2, asyncio.get_running_loop())
    read, unread = decision_jobs("t", "store", [request, Asked("b", lambda: request)], ticket, preview=True, note=None)
    assert (read.lead_id, read.request, read.unread, read.place, read.preview) == ("a", request, None, 0, True)
    assert (unread.lead_id, unread.request, unread.unread is None, unread.place) == ("b", None, False, 1)


def test_leads_and_decisions_are_read_before_the_instant_that_is_told_with_all_else() -> None:
    values, script = gather_commands(QUERY)
    assert values == ["MGET", "{t/0}:lead:a", "{t/0}:lead:b", "{t/0}:decision:d1"]
    assert script[0] == "EVALSHA"
    assert script[3:] == [
        "{t/0}:log", "{t/0}:clock", "{t/0}:day:20260301", "{t/0}:day:20260302", "{t/0}:lead:", "{t/0}:decision:",
        "known", "unknown", "store", 9, 0,
    ]  # fmt: skip


async def test_each_lead_gets_its_own_record_and_all_its_jobs() -> None:
    found = snapshot_of(QUERY, [None, b"7 1700000000000-3\nrec\nord", b"locator"], [b"5", [b"held", None], [], 1, 2])
    assert found == Snapshot(5, [NEW_LEAD, StoredLead(7, b"rec\nord")], [b"locator"], [], 1, 2, {"known": b"held"})
    ticket = Ticket(3, asyncio.get_running_loop())
    jobs = [Job("t", "store", lead_id, ticket, place) for place, lead_id in enumerate("bab")]
    work = work_of(Part(PARTITION, "store", None, QUERY, jobs), found)  # type: ignore[arg-type]
    assert [(lead.lead_id, lead.stored.version, [job.place for job in lead.jobs]) for lead in work] == [
        ("b", 7, [0, 2]),
        ("a", 0, [1]),
    ]


def test_a_lead_without_a_decision_has_no_log_id() -> None:
    assert [last_log_id(stored) for stored in (None, b"1 0-0\nrecord", b"2 17-4\nrecord")] == ["0-0", "0-0", "17-4"]
