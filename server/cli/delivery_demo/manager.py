"""The demo's manager: reads the notices that are mailed, and acknowledges the escalations, but forgets every third."""

import queue
import re
from collections import Counter
from email.message import EmailMessage

from keepwell.v1.escalation_service_pb2 import AcknowledgeEscalationRequest
from keepwell_client import Client, KeepwellError
from keepwell_client.errors import EscalationStateError

FORGETS_EVERY = 3


class Manager:
    """Takes notices from any thread; acts in the caller's."""

    def __init__(self) -> None:
        self.notices: Counter[tuple[str, str]] = Counter()  # by escalation and level
        self.acknowledged: set[str] = set()
        self._pile: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def take(self, mail: EmailMessage) -> None:
        """Put a notice on the pile."""
        said = dict(re.findall(r"^(Escalation|Level): (\S+)\s*$", mail.get_content(), re.MULTILINE))
        notice = (said["Escalation"], said["Level"])
        self.notices[notice] += 1
        if self.notices[notice] == 1:
            self._pile.put(notice)

    def told(self, level: str) -> int:
        """Return how many escalations somebody was told of at a level: "1" is the manager's, "2" the director's."""
        return sum(1 for _, each in self.notices if each == level)

    def work(self, client: Client) -> None:
        """Read the pile, and acknowledge as a person would, by the id in the mail; the manager forgets every third."""
        while not self._pile.empty():
            escalation, level = notice = self._pile.get()
            if level == "1" and self.told("1") % FORGETS_EVERY == 0:
                continue
            request = AcknowledgeEscalationRequest(
                escalation_id=escalation, by="manager" if level == "1" else "director"
            )
            try:
                client.call(client.escalations.AcknowledgeEscalation, request)
            except EscalationStateError:
                continue  # it was closed meanwhile: the lead recovered, or its time was over
            except KeepwellError as error:
                if not error.is_transient:
                    raise
                self._pile.put(notice)
                return
            self.acknowledged.add(escalation)
