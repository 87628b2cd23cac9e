"""A script of the store that is run by itself: loaded when it is first needed, and again after the store was restarted."""

import hashlib
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from server.store.connection import Store


class Script:
    """One script."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = hashlib.sha1(text.encode()).hexdigest()

    async def run(self, client: Store, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Return the script's reply.

        NOSCRIPT means that nothing was done, so running it again cannot do anything twice.
        """
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            await client.script_load(self._text)
            return await client.evalsha(self._digest, len(keys), *keys, *arguments)
