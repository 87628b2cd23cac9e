"""Tenant-wide counts within a batch: what one lead claims, the next one sees."""

from msgspec.structs import replace

from rules.decide import ESCALATION_SHARE
from rules.decision import CeilingClaim, CeilingReading, Ruling
from rules.lead import LeadState
from server.road.tally import Tally
from tests.unit.test_decision_bytes import DECISION

SHARE = 0.05
NOTHING = Ruling(DECISION, LeadState(), None, ())


def test_a_claim_counts_for_the_next_lead() -> None:
    tally = Tally({"calls": CeilingReading(7, 9, None)}, 0, 0)
    first = tally.ceilings(SHARE, first_today=True)
    tally.take(replace(NOTHING, claims=(CeilingClaim("calls", 2), CeilingClaim(ESCALATION_SHARE, 1))))
    second = tally.ceilings(SHARE, first_today=True)
    assert [(each["calls"].used, each[ESCALATION_SHARE].used) for each in (first, second)] == [(7, 0), (9, 1)]


def test_the_share_of_escalations_grows_with_the_leads_of_the_day() -> None:
    tally = Tally({}, 38, 0)
    allowed = [tally.ceilings(SHARE, first_today=first)[ESCALATION_SHARE].maximum for first in (False, True)]
    tally.leads_today += 1
    allowed += [tally.ceilings(SHARE, first_today=first)[ESCALATION_SHARE].maximum for first in (False, True)]
    assert allowed == [1, 1, 1, 2]


def test_readings_are_the_same_object_until_something_is_claimed() -> None:
    tally = Tally({"calls": CeilingReading(0, 1, None)}, 100, 0)
    before = tally.ceilings(SHARE, first_today=False)
    tally.take(NOTHING)
    assert tally.ceilings(SHARE, first_today=False) is before
