"""The demo's watcher: a service that follows the feed, and counts what it is told."""

import threading
from collections import Counter

import grpc
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2, feed_service_pb2, feed_service_pb2_grpc

from server.cli.show import channel_name, reason_name, stage_name, verdict_name

PATIENCE_SECONDS = 20.0


class FeedTally:
    """Counts the feed's decisions in a thread of its own."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.received = 0
        self.verdicts: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.channels: Counter[str] = Counter()
        self.escalations = 0
        self.contacts: list[tuple[str, int, str]] = []  # lead, instant in ms, channel
        self.decision_ids: list[str] = []
        self._changed = threading.Condition()
        start = feed_service_pb2.FeedStart(earliest=Empty())
        stub = feed_service_pb2_grpc.FeedServiceStub(channel)
        self._call = stub.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=start))
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for response in self._call:
                with self._changed:
                    for decision in response.decisions:
                        self._count(decision)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise

    def _count(self, decision: decision_pb2.Decision) -> None:
        self.received += 1
        self.verdicts[verdict_name(decision)] += 1
        self.stages[stage_name(decision)] += 1
        self.reasons.update({reason_name(suppression) for suppression in decision.suppressions})
        self.escalations += decision.HasField("escalation")
        self.decision_ids.append(decision.decision_id)
        at = decision.decided_at.ToMilliseconds()
        for action in decision.interventions:
            channel = channel_name(action.channel)
            self.channels[channel] += 1
            self.contacts.append((decision.lead_id, at, channel))

    def finish(self, decided: int) -> None:
        """Wait until the feed has delivered everything that was decided, and leave."""
        with self._changed:
            self._changed.wait_for(lambda: self.received >= decided, PATIENCE_SECONDS)
        self._call.cancel()
        self._thread.join()
