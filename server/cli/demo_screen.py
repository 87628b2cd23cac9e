"""What the demo shows: live while it plays, and a summary at the end."""

import statistics
from collections import Counter

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from server.cli.demo_feed import FeedTally
from server.cli.demo_portfolio import DemoPortfolio
from server.cli.show import COLOURS

SHOWN_REASONS = 8


def counts_panel(title: str, counts: Counter[str], colours: dict[str, str] | None = None) -> Panel:
    """Return the most frequent names, with their counts and shares."""
    table = Table.grid(padding=(0, 1))
    total = sum(counts.values()) or 1
    for name, count in counts.most_common(SHOWN_REASONS):
        table.add_row(Text(name, style=(colours or {}).get(name, "")), f"{count:,}", f"{count / total:.0%}")
    return Panel(table, title=title)


def _latency(portfolio: DemoPortfolio) -> str:
    if not portfolio.latencies_ms:
        return "-"
    ordered = sorted(portfolio.latencies_ms)
    return f"p50 {statistics.median(ordered):.1f} ms, p99 {ordered[int(len(ordered) * 0.99)]:.1f} ms"


def screen(tally: FeedTally, portfolio: DemoPortfolio) -> RenderableType:
    """Return the live screen."""
    wanted = portfolio.leads * portfolio.days
    head = Text(
        f"day {portfolio.day + 1} of {portfolio.days} · {tally.received:,} decisions on the feed · single calls {_latency(portfolio)}"
    )
    panels = [
        counts_panel("stages", tally.stages),
        counts_panel("verdicts", tally.verdicts, COLOURS),
        counts_panel("contacts", tally.channels),
        counts_panel("why not (decisions by reason)", tally.reasons),
    ]
    return Group(head, ProgressBar(total=wanted, completed=portfolio.decided, width=60), Columns(panels))


def summary(
    tally: FeedTally, portfolio: DemoPortfolio, verified: tuple[int, int], broken: list[str], seconds: float
) -> RenderableType:
    """Return what was decided, and what was checked about it."""
    checks = Table.grid(padding=(0, 2))
    checks.add_row("decided and answered", f"{portfolio.decided:,}", f"{portfolio.refused} refused")
    checks.add_row(
        "delivered by the feed",
        f"{tally.received:,}",
        "every one, once" if tally.received == portfolio.decided else "MISSING SOME",
    )
    checks.add_row("contacted too often", f"{len(broken)}", "recounted from the feed by the demo itself")
    checks.add_row("made again, byte for byte", f"{verified[0]} of {verified[1]}", "VerifyDecision on a sample")
    checks.add_row(
        "escalated to a manager",
        f"{tally.escalations:,}",
        f"{tally.escalations / max(tally.received, 1):.1%} of decisions",
    )
    checks.add_row("single calls", _latency(portfolio), f"{seconds:.0f} s in all")
    panels = [counts_panel("stages", tally.stages), counts_panel("verdicts", tally.verdicts, COLOURS)]
    panels += [counts_panel("contacts", tally.channels), counts_panel("why not (decisions by reason)", tally.reasons)]
    return Group(Columns(panels), Panel(checks, title="checked"))
