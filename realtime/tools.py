"""Server-side functions that the model may call, registered by name. Each gets checked arguments and the person's id.

What a function returns is data for the model, never instructions for us. Functions here have no side effects.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings

logger = logging.getLogger("realtime.tools")
TIMEOUT_S = 10
MAX_OUTPUT_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call: its description in the upstream's shape, and the coroutine behind it."""

    name: str
    description: str
    parameters: dict[str, Any]
    call: Callable[..., Awaitable[Any]]

    def definition(self) -> dict[str, Any]:
        """As `session.update` takes it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }


async def current_time(*, user_id: int, time_zone: str = "") -> dict[str, str]:
    """The date and time, in the given IANA zone or the site's."""
    try:
        zone = ZoneInfo(time_zone or settings.TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError):
        return {"error": "That time zone is not known."}
    now = datetime.now(zone)
    return {"time": now.isoformat(timespec="seconds"), "weekday": now.strftime("%A"), "time_zone": str(zone)}


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "current_time",
            "The current date, weekday and time. Call it whenever the answer depends on them.",
            {
                "type": "object",
                "properties": {
                    "time_zone": {"type": "string", "description": "IANA name, such as Europe/Berlin"}
                },
                "required": [],
            },
            current_time,
        ),
    )
}


def definitions() -> tuple[dict[str, Any], ...]:
    """All tools, for the session's configuration."""
    return tuple(tool.definition() for tool in TOOLS.values())


async def run_tool(name: str, arguments: str, *, user_id: int) -> tuple[str, bool]:
    """Call a tool. Returns its output as JSON text and whether it worked; a failure is an output too."""
    tool = TOOLS.get(name)
    if tool is None:
        return json.dumps({"error": "There is no such function."}), False
    try:
        given = json.loads(arguments or "{}")
        known = {key: value for key, value in given.items() if key in tool.parameters["properties"]}
        async with asyncio.timeout(TIMEOUT_S):
            result = await tool.call(user_id=user_id, **known)
    except Exception as error:  # a broken tool must not end the call
        logger.warning("tool %s failed: %s", name, type(error).__name__)
        return json.dumps({"error": "The function failed."}), False
    return json.dumps(result)[:MAX_OUTPUT_CHARS], True
