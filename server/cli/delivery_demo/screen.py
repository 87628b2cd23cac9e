"""What the demo shows: live while it is played, and the accounts at the end."""

from collections import Counter

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from server.cli.delivery_demo.accounts import Account, Findings
from server.cli.delivery_demo.play import Play
from server.cli.demo_screen import counts_panel
from server.cli.show import COLOURS


def live(play: Play, kills: Counter[str]) -> RenderableType:
    """Return the live screen."""
    follower, mailbox = play.follower, play.mailbox
    head = Text(
        f"day {play.clock.day + 1} · {play.portfolio.events:,} events of {play.portfolio.leads:,} leads · "
        f"{follower.decisions.total():,} decisions nobody asked for"
    )
    arrivals = Counter(
        {
            "mails in the mailbox": mailbox.arrived.total(),
            "mails refused": mailbox.refused,
            "calls, texts, messages": play.provider.arrived.total(),
            "notices to managers": play.manager.notices.total(),
            "acknowledged by them": len(play.manager.acknowledged),
        }
    )
    panels = [
        counts_panel("stages", follower.stages),
        counts_panel("verdicts", follower.verdicts, COLOURS),
        counts_panel("granted", follower.channels),
        counts_panel("arrived", arrivals),
    ]
    if kills:
        panels.append(counts_panel("killed", kills))
    return Group(head, Columns(panels))


def summary(play: Play, found: Findings, kills: Counter[str], seconds: float) -> RenderableType:
    """Return what was counted."""
    follower, manager = play.follower, play.manager
    checks = Table.grid(padding=(0, 2))
    decided = follower.decisions.total()
    checks.add_row(
        "went quiet",
        f"{sum(1 for count in follower.moved.values() if count)}",
        f"of {play.portfolio.leads} leads changed stage in {play.clock.day + 1} days; nobody asked about them",
    )
    causes = ", ".join(f"{count:,} {name}" for name, count in follower.causes.most_common())
    checks.add_row("decided", f"{decided:,}", f"{causes}; {found.lost} missed or repeated by the watcher")
    for kind in Account:
        if found.became[kind] or kind is Account.DELIVERED:
            checks.add_row(
                "granted contacts", f"{found.became[kind]:,}", Text(kind, style="red" if kind.is_broken else "")
            )
    checks.add_row("contacted too often", f"{found.over_contacted}", "recounted by the demo itself")
    checks.add_row("manager told of", f"{manager.told('1')}", f"{len(manager.acknowledged)} acknowledged in all")
    checks.add_row("director told of", f"{manager.told('2')}", "which the manager forgot")
    if kills:
        checks.add_row(
            "killed", f"{kills.total()}", ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
        )
    checks.add_row("played", f"{seconds:.0f} s", "")
    return Panel(checks, title="checked")
