"""The stage of a fault: a site, an upstream, a cable on either side of the relay, a bystander. No assertions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from realtime.local.server import LocalServer
from realtime.switchboard import Switchboard, get_switchboard
from tests.faults.checker import Checker
from tests.faults.proxy import FaultProxy
from tests.realtime.conftest import Site
from tests.realtime.page import Page, silence, tone

QUESTION = tone(400) + silence(900)


@dataclass
class Stage:
    """`wifi` lies between pages and the site, `cable` between the relay and the upstream."""

    site: Site
    upstream: LocalServer
    wifi: FaultProxy
    cable: FaultProxy
    checker: Checker
    pages: list[Page] = field(default_factory=list)

    @property
    def switchboard(self) -> Switchboard:
        """The live relays."""
        return get_switchboard()

    def relay_of(self, page: Page) -> Any:
        """The live relay of a page's session, or None."""
        return next(
            (r for key, r in self.switchboard.relays.items() if str(key) == page.minted["session_id"]), None
        )

    async def mint(self, user: Any, **fields: Any) -> dict[str, Any]:
        """A token whose address leads over the wifi."""
        minted = await self.site.mint(user, **fields)
        return {**minted, "url": f"ws://127.0.0.1:{self.wifi.port}/ws/realtime/"}

    async def page(self, user: Any, **fields: Any) -> Page:
        """A page with a fresh token, not connected yet."""
        page = Page(await self.mint(user, **fields))
        self.pages.append(page)
        return page

    async def talking(self, user: Any, **fields: Any) -> Page:
        """A page that is connected and may speak."""
        page = await self.page(user, **fields)
        await page.connect()
        await page.until("state", state="listening")
        return page

    async def resume(self, user: Any, page: Page) -> dict[str, Any]:
        """Mint again and connect, as a page does after a cut; returns its `ready`."""
        page.minted = await self.mint(user, resume_session_id=page.minted["session_id"])
        item_id = next(reversed(page.audio), None)
        mark = {"item_id": item_id, "samples": len(page.audio[item_id]) // 2} if item_id else None
        await page.connect(played=mark, received=mark)
        return await page.until("ready")


async def ask(page: Page) -> tuple[dict[str, Any], bytes]:
    """Speak a question and hear the whole answer: its last transcript and its speech.

    A short answer may be heard before the question's transcript is there, so neither waits for the other.
    """
    before, known = len(page.received), set(page.audio)
    await page.speak(QUESTION)
    ended = await page.once("audio.end", before)
    while ended["item_id"] in known:  # of an earlier answer, told again after a cut
        ended = await page.until("audio.end")
    await page.once("transcript.done", before, role="user", status="completed")
    item_id = ended["item_id"]
    done = [m for m in page.of("transcript.done") if m["item_id"] == item_id]
    if not done or done[-1]["status"] == "pending":
        done = [await page.until("transcript.done", item_id=item_id, status="completed")]
    return done[-1], bytes(page.audio[item_id])
