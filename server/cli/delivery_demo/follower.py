"""The demo's watcher: follows the feed while it is played, and reads it once more from the start at the end."""

import threading
from collections import Counter

from google.protobuf.duration_pb2 import Duration
from keepwell.v1.decision_pb2 import Decision, DecisionCause
from keepwell.v1.feed_service_pb2 import WatchDecisionsRequest
from keepwell_client import EARLIEST, Client

from server.cli.show import channel_name, stage_name, verdict_name


class Follower:
    """Counts decisions in a thread of its own, through whatever the service goes through."""

    def __init__(self, client: Client) -> None:
        self.decisions: Counter[str] = Counter()  # how often each came
        self.verdicts: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self.channels: Counter[str] = Counter()
        self.causes: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()  # leads by how often their stage changed
        self._stage: dict[str, str] = {}
        self._client = client
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for decision in self._client.watch(start=EARLIEST):
            self._count(decision)

    def _count(self, decision: Decision) -> None:
        self.decisions[decision.decision_id] += 1
        self.verdicts[verdict_name(decision)] += 1
        stage = stage_name(decision)
        self.stages[stage] += 1
        self.moved[decision.lead_id] += self._stage.setdefault(decision.lead_id, stage) != stage
        self._stage[decision.lead_id] = stage
        self.causes[DecisionCause.Name(decision.cause).removeprefix("DECISION_CAUSE_")] += 1
        self.channels.update(channel_name(action.channel) for action in decision.interventions)


def whole_feed(client: Client) -> list[Decision]:
    """Return every decision that the feed holds: what comes before the first heartbeat."""
    request = WatchDecisionsRequest(start=EARLIEST, heartbeat=Duration(seconds=1))
    found: list[Decision] = []
    call = client.feed.WatchDecisions(request, timeout=60, metadata=client.metadata)
    for place, response in enumerate(call):
        if response.checkpoint and place > 0:
            break
        found += response.decisions
    call.cancel()
    return found
