"""Decide about a portfolio: `python portfolio.py [HOST:PORT] [TENANT]`."""

import sys
from collections import Counter
from collections.abc import Iterator

from keepwell.v1.decision_pb2 import Verdict
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell_client import Client


def portfolio() -> Iterator[DecideRequest]:
    """Yield a thousand leads, one of them with a bad id; with request ids of your own, a run that broke off is run again."""
    for number in range(1_000):
        lead_id = f"lead-{number}" if number else "a b"
        yield DecideRequest(request_id=f"monday-{number}", lead_id=lead_id, churn_probability=number / 1_000)


def main(address: str = "127.0.0.1:50051", tenant: str = "") -> None:
    """Print how many decisions came to what, and each error."""
    verdicts: Counter[str] = Counter()
    with Client(address, tenant) as client:
        for result in client.decide_many(portfolio()):
            if result.decision:
                verdicts[Verdict.Name(result.decision.verdict)] += 1
            else:
                print(result.request.lead_id, result.error)
    for verdict, count in sorted(verdicts.items()):
        print(verdict, count)


main(*sys.argv[1:])
