"""Follow the feed, for ever or for so many decisions: `python follow_feed.py [HOST:PORT] [TENANT] [TOKEN_FILE] [COUNT]`.

Stop it and start it again: it goes on where it was.
"""

import asyncio
import sys

from keepwell.v1.decision_pb2 import VERDICT_CONTACT, InterventionStage
from keepwell.v1.feed_service_pb2 import FeedFilter
from keepwell_client import EARLIEST, AsyncClient, FileTokenStore


async def main(
    address: str = "127.0.0.1:50051", tenant: str = "", token_file: str = "feed.token", count: str = "0"
) -> None:
    """Print whom to contact."""
    async with AsyncClient(address, tenant) as client:
        contacts = client.watch(FeedFilter(verdicts=[VERDICT_CONTACT]), FileTokenStore(token_file), start=EARLIEST)
        number = 0
        async for decision in contacts:
            number += 1
            print(decision.lead_id, InterventionStage.Name(decision.assessment.stage), len(decision.interventions))
            if number == int(count):
                return


asyncio.run(main(*sys.argv[1:]))
