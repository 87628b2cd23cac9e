"""Runs the demo from its first day to its accounts."""

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from keepwell.v1.decision_pb2 import Decision
from rich.console import Console
from rich.live import Live

from server.cli.delivery_demo.accounts import Account, Findings, Grant
from server.cli.delivery_demo.chaos import Chaos
from server.cli.delivery_demo.play import Play
from server.cli.delivery_demo.screen import live, summary
from server.cli.demo_audit import over_contacted

LONGEST_DAYS = 200


def deliver_demo(console: Console, leads: int, days: int, seed: int, chaos_seconds: float, *, headless: bool) -> bool:
    """Return whether every promise was kept.

    Args:
        console: Where to show it.
        leads: How many.
        days: How many, without chaos; with it, days go on until its time is over.
        seed: The same seed plays the same leads, and kills the same processes.
        chaos_seconds: For how long processes are killed at random; 0 for not at all.
        headless: Show the summary only.

    """
    started = time.monotonic()
    with _playing(leads, LONGEST_DAYS if chaos_seconds else days, seed) as play:
        kills = _played(console, play, days, seed, chaos_seconds, headless=headless)
        became, decisions = play.finish()
        found = Findings(
            Counter(became.values()),
            _differences(decisions, play.follower.decisions),
            len(_over_contacted(play, became)),
        )
        console.print(summary(play, found, kills, time.monotonic() - started))
        return found.is_kept


def _played(
    console: Console, play: Play, days: int, seed: int, chaos_seconds: float, *, headless: bool
) -> Counter[str]:
    """Play all days; return what was killed."""
    play.introduce()
    chaos = Chaos(play.processes, seed) if chaos_seconds else None
    kills: Counter[str] = chaos.kills if chaos else Counter()
    shown = contextlib.nullcontext() if headless else Live(console=console, refresh_per_second=8, transient=True)
    with shown as screen:
        try:
            for _ in _days(play, days, chaos_seconds):
                if screen is not None:
                    screen.update(live(play, kills))
        finally:
            if chaos:
                chaos.stop()
        for _ in play.day():  # what was killed last may have left something
            pass
    return kills


def _differences(decisions: Sequence[Decision], came: Counter[str]) -> int:
    """Return how many decisions the watcher missed or had more than once."""
    missed = Counter(each.decision_id for each in decisions) - came
    return missed.total() + sum(count - 1 for count in came.values())


def _over_contacted(play: Play, became: Mapping[Grant, Account]) -> list[str]:
    """Return the leads that were contacted more often than the policy's limits allow."""
    made = [(grant.lead_id, grant.at, grant.channel) for grant, kind in became.items() if kind is not Account.FAILED]
    return over_contacted(made, {profile.lead_id: profile.time_zone for profile in play.portfolio.profiles})


@contextlib.contextmanager
def _playing(leads: int, days: int, seed: int) -> Iterator[Play]:
    with tempfile.TemporaryDirectory(prefix="keepwell-demo-", ignore_cleanup_errors=True) as folder:
        play = Play(Path(folder), leads, days, seed)
        try:
            yield play
        finally:
            play.close()


def _days(play: Play, days: int, chaos_seconds: float) -> Iterator[None]:
    """Play so many days, or as many as the chaos lasts for."""
    end = time.monotonic() + chaos_seconds
    yield from play.day()
    while time.monotonic() < end if chaos_seconds else play.clock.day + 1 < days:
        play.next_day()
        yield from play.day()
