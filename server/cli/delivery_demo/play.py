"""Plays the demo: days pass, leads go quiet, and each day ends when everything that it brought is done."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from keepwell.v1.decision_pb2 import ESCALATION_STATE_OPEN, Decision
from keepwell.v1.escalation_service_pb2 import ListEscalationsRequest
from keepwell.v1.feed_service_pb2 import ListSubscriptionsRequest
from keepwell_client import Client, KeepwellError
from keepwell_delivery.journal import Journal

from server.cli.delivery_demo.accounts import Account, Grant, accounts
from server.cli.delivery_demo.clock import DemoClock
from server.cli.delivery_demo.follower import Follower, whole_feed
from server.cli.delivery_demo.mailbox import Mailbox, Provider
from server.cli.delivery_demo.manager import Manager
from server.cli.delivery_demo.portfolio import QuietPortfolio
from server.cli.delivery_demo.processes import Processes
from server.cli.show import channel_name

PAUSE_SECONDS = 0.1
DAY_PATIENCE_SECONDS = 120.0
SECRET_NAME = "KEEPWELL_DEMO_SECRET"
TARGETS = ("manager", "director")
HERE = Path(__file__).parent


class DayNotDoneError(Exception):
    """Something that a day brought is not done after two minutes; says what."""


class Play:
    """The demo's parts, started; `close` ends them.

    Args:
        folder: Data, logs and the workers' journal.
        leads: How many.
        days: How many at most.
        seed: The same seed plays the same leads.

    """

    def __init__(self, folder: Path, leads: int, days: int, seed: int) -> None:
        self.manager = Manager()
        self.mailbox = Mailbox(self.manager.take)
        self.provider = Provider()
        self.clock = DemoClock(folder / "clock")
        self.processes = Processes(folder, self._settings(), self._variables())
        self._folder = folder
        self._client = Client(self.processes.address)
        self._watching = Client(self.processes.address)
        self.portfolio = QuietPortfolio(self._client, self.clock, leads, days, seed)
        self.follower = Follower(self._watching)
        self._is_recorded = True

    def _settings(self) -> dict[str, object]:
        hook = {"kind": "webhook", "secret": f"env:{SECRET_NAME}"}
        return {
            "templates": str(HERE / "templates"),
            "addresses": {"kind": "profile"},
            "channels": {
                "email": {
                    "kind": "smtp",
                    "host": "127.0.0.1",
                    "port": self.mailbox.port,
                    "tls": "none",
                    "sender": "Keepwell <care@example.com>",
                },
                "phone": {**hook, "url": f"{self.provider.url}/calls"},
                "in_app": {**hook, "url": f"{self.provider.url}/messages"},
                "sms": {
                    "kind": "twilio",
                    "base_url": self.provider.url,
                    "account_sid": "AC1",
                    "auth_token": f"env:{SECRET_NAME}",
                    "sender": "+12125550000",
                    "takes_keys": True,
                },
            },
            "escalations": {name: {"kind": "chat", "url": f"env:KEEPWELL_DEMO_{name.upper()}"} for name in TARGETS},
            # Short, because what a killed worker had in hand waits for them.
            "ack_deadline_seconds": 2,
            "send_timeout_seconds": 2,
            "retry_seconds": 1,
        }

    def _variables(self) -> dict[str, str]:
        mail = f"mailto://127.0.0.1:{self.mailbox.port}/?from=keepwell@example.com&mode=insecure&format=text"
        notices = {f"KEEPWELL_DEMO_{name.upper()}": f"{mail}&to={name}@example.com" for name in TARGETS}
        return {SECRET_NAME: f"whsec_{secrets.token_hex(32)}", **notices}

    def introduce(self) -> None:
        """Have the service know the leads, and what they did so far."""
        self._tell_time()
        self.portfolio.introduce()

    def _tell_time(self) -> None:
        self._client.metadata = (("x-keepwell-now", self.clock.now().isoformat()),)

    def day(self) -> Iterator[None]:
        """Play what is left of the day, yielding now and then; ends when everything that the day brought is done.

        Raises:
            DayNotDoneError: It takes too long.

        """
        patience = time.monotonic() + DAY_PATIENCE_SECONDS
        while waiting := self._waiting_for():
            if time.monotonic() > patience:
                raise DayNotDoneError(f"day {self.clock.day + 1}: still {waiting} after {DAY_PATIENCE_SECONDS:.0f} s")
            yield
            time.sleep(PAUSE_SECONDS)

    def next_day(self) -> None:
        """Let the next day begin."""
        self.clock.next_day()
        self._is_recorded = False

    def _waiting_for(self) -> str:
        """Return what is not done yet; empty when everything is."""
        self._tell_time()
        try:
            if not self._is_recorded:
                self.portfolio.record(self.clock.day)
                self._is_recorded = True
            self.manager.work(self._client)
            if not self.portfolio.is_reviewed():
                return "reviewing leads"
            if not self._is_delivered():
                return "delivering"
            return "" if self._is_told() else "telling managers"
        except KeepwellError as error:
            if not error.is_transient:
                raise
            return str(error)

    def _is_delivered(self) -> bool:
        found = self._client.call(self._client.feed.ListSubscriptions, ListSubscriptionsRequest()).subscriptions
        return bool(found) and (found[0].lag, found[0].unacknowledged) == (0, 0)

    def _is_told(self) -> bool:
        """Return whether everybody knows who should, and no escalation is about to go to the next target."""
        request = ListEscalationsRequest(states=[ESCALATION_STATE_OPEN], page_size=500)
        found = self._client.call(self._client.escalations.ListEscalations, request).escalations
        now = self.clock.now().timestamp()
        return all(
            each.due_time.seconds > now and self.manager.notices[each.escalation_id, str(each.level)] for each in found
        )

    def finish(self) -> tuple[dict[Grant, Account], list[Decision]]:
        """End the workers; return what became of every contact, and all decisions."""
        self.processes.stop_workers()
        decisions = whole_feed(self._client)
        grants = [
            Grant(
                action.intervention_id,
                decision.lead_id,
                decision.decided_at.ToMilliseconds(),
                channel_name(action.channel),
            )
            for decision in decisions
            for action in decision.interventions
        ]
        journal = Journal(self._folder / "delivery.sqlite3")
        found = accounts(grants, self.mailbox.arrived + self.provider.arrived, journal.entry)
        journal.close()
        return found, decisions

    def close(self) -> None:
        """End everything."""
        self._client.close()
        self._watching.close()
        self.processes.close()
        self.mailbox.close()
        self.provider.close()
