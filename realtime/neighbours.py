"""What the processes of a site tell each other: "look at your sessions now". It only makes things quicker.

Every process looks at its sessions every 10 s anyway. So whatever the channel layer does, or Redis behind it: nothing
here raises, nothing waits for long, and no session notices.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from channels.layers import get_channel_layer

logger = logging.getLogger("realtime.neighbours")
GROUP = "voice.processes"
TELL_S = 2.0
JOIN_AGAIN_S = 30.0  # a layer that was started anew has forgotten who belongs to the group
RETRY_S = 5.0
LEAVE_S = 1.0


async def tell(name: str) -> None:
    """Ask the others to look. `name` is this process's own."""
    try:
        layer = get_channel_layer()
        if layer is not None:
            async with asyncio.timeout(TELL_S):
                await layer.group_send(GROUP, {"type": "look", "from": name})
    except Exception as error:
        logger.warning("other processes were not told, and look within seconds: %s", type(error).__name__)


async def listen(name: str, look: Callable[[], None]) -> None:
    """Call `look` when another process asks for it, and when one may have asked in vain; until cancelled."""
    layer = get_channel_layer()
    if layer is None:
        return
    channel: str | None = None
    deaf = False
    try:
        while True:
            try:
                async with asyncio.timeout(JOIN_AGAIN_S):
                    channel = channel or await layer.new_channel("voice.process")
                    await layer.group_add(GROUP, channel)
                    if deaf:
                        deaf = False
                        look()
                    message = await layer.receive(channel)
            except TimeoutError:
                continue
            except Exception as error:
                if not deaf:
                    logger.warning("the channel layer is not to be had: %s", type(error).__name__)
                deaf = True
                await asyncio.sleep(RETRY_S)
                continue
            if message.get("from") != name:
                look()
    finally:
        if channel is not None:
            with contextlib.suppress(Exception):  # the group forgets members by itself, a day later
                async with asyncio.timeout(LEAVE_S):
                    await layer.group_discard(GROUP, channel)
