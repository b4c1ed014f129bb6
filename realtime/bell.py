"""A bell for one who waits: `asyncio.Event` without its queue of waiters, which would be most of an idle session."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings until it is stilled. One at a time may wait for it."""

    __slots__ = ("_rings", "_waiter")

    def __init__(self) -> None:
        self._rings = False
        self._waiter: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Whether it rings."""
        return self._rings

    def set(self) -> None:
        """Ring."""
        self._rings = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Still it."""
        self._rings = False

    async def wait(self) -> None:
        """Until it rings."""
        if self._rings:
            return
        assert self._waiter is None
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
