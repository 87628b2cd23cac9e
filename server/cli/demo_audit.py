"""The demo's auditor: recounts every contact that the feed delivered, without any of the service's own code for limits."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
EMAILS_A_DAY, EMAILS_A_WEEK, CONTACTS_A_DAY = 1, 3, 2


def over_contacted(contacts: Iterable[tuple[str, int, str]], zones: Mapping[str, str]) -> list[str]:
    """Return the leads that got more than the default policy allows: e-mails in any 24 h or 7 d, contacts on any local day."""
    by_lead: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for lead, at, channel in contacts:
        by_lead[lead].append((at, channel))
    return sorted(lead for lead, granted in by_lead.items() if _too_many(granted, ZoneInfo(zones[lead])))


def _too_many(granted: list[tuple[int, str]], zone: ZoneInfo) -> bool:
    emails = [at for at, channel in granted if channel == "email"]
    days = Counter(datetime.fromtimestamp(at / 1_000, UTC).astimezone(zone).date() for at, _ in granted)
    return (
        any(_within(emails, at, DAY_MS) > EMAILS_A_DAY for at in emails)
        or any(_within(emails, at, 7 * DAY_MS) > EMAILS_A_WEEK for at in emails)
        or max(days.values()) > CONTACTS_A_DAY
    )


def _within(instants: list[int], end: int, length: int) -> int:
    return sum(1 for at in instants if end - length < at <= end)
