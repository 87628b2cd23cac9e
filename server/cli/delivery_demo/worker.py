"""A delivery worker of the demo: `keepwell-deliver`, on the demo's time. Arguments: the service's address, the folder."""

import asyncio
import functools
import sys
from pathlib import Path

from keepwell_client import AsyncClient
from keepwell_delivery.config import load
from keepwell_delivery.logs import configure_logs
from keepwell_delivery.worker import work

from server.cli.delivery_demo.clock import read_clock

SUBSCRIPTION = "delivery"


async def _run(address: str, folder: Path) -> None:
    clock = functools.partial(read_clock, folder / "clock")
    async with AsyncClient(address) as keepwell:
        await work(load(folder / "delivery.yaml"), keepwell, SUBSCRIPTION, lambda: print("ready", flush=True), clock)


if __name__ == "__main__":
    configure_logs()
    asyncio.run(_run(sys.argv[1], Path(sys.argv[2])))
