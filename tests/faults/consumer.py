"""A consumer in a process of its own, `consumer ADDRESS NAME ack|hold SECONDS`: prints the id of every decision that it is done with."""

import sys
import time

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import feed_service_pb2 as messages
from keepwell.v1 import feed_service_pb2_grpc

HELD = 20


def work(address: str, name: str, deadline: Duration, *, hold: bool) -> None:
    """Take deliveries until the server ends the stream; hold the first ones for ever, or acknowledge each."""
    held = 0
    with grpc.insecure_channel(address) as channel:
        feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        request = messages.SubscribeRequest(
            subscription="mail",
            consumer=name,
            ack_deadline=deadline,
            max_outstanding=HELD,
            max_attempts=100,
            start=messages.FeedStart(earliest=Empty()),
        )
        for response in feed.Subscribe(request):
            held += len(response.deliveries)
            if hold and held == HELD:
                print("full", flush=True)
            if not hold:
                ids = [delivery.delivery_id for delivery in response.deliveries]
                feed.Acknowledge(messages.AcknowledgeRequest(subscription="mail", delivery_ids=ids))
                print(*(delivery.decision.decision_id for delivery in response.deliveries), sep="\n", flush=True)


def main() -> None:
    """Work until killed; a server that went away is looked for again."""
    address, name, mode, seconds = sys.argv[1:]
    deadline = Duration(nanos=round(float(seconds) * 1e9) % 1_000_000_000, seconds=int(float(seconds)))
    while True:
        try:
            work(address, name, deadline, hold=mode == "hold")
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        time.sleep(0.05)


if __name__ == "__main__":
    main()
