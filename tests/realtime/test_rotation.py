"""A long call moves to a fresh upstream before the provider ends the old one, and the person hears nothing of it."""

from __future__ import annotations

from typing import Any

from tests.realtime.page import eventually, silence, tone
from tests.realtime.test_upstream_trouble import SCRIPT, seeds_of


async def test_the_next_upstream_is_warm_before_the_old_one_goes(
    make_site: Any, ada: Any, settings: Any
) -> None:
    site = await make_site(SCRIPT)
    settings.REALTIME_ROTATE_AFTER_SEC = 1
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(400) + silence(900))
        ended = await page.until("audio.end")
        await page.until("message.saved", item_id=ended["item_id"])
        await eventually(
            lambda: len(site.upstream.connections) >= 2 and not site.upstream.connections[0].open
        )
        assert ("assistant", "First answer.") in seeds_of(site.upstream.connections[1])
        await page.speak(tone(400) + silence(900))
        again = await page.until("audio.end")
        await page.until("message.saved", item_id=again["item_id"])
        assert not [m for m in page.of("state") if m["state"] == "reconnecting"]
        assert not page.of("error")
        await page.say("session.end")
        await page.until_closed()
    await eventually(lambda: site.upstream.open_count == 0)


async def test_a_rotation_that_cannot_be_had_leaves_the_old_upstream(
    make_site: Any, ada: Any, settings: Any
) -> None:
    site = await make_site(SCRIPT)
    settings.REALTIME_ROTATE_AFTER_SEC = 1
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        site.upstream.faults = [{"name": "refuse", "status": 503}]
        (relay,) = site.switchboard.relays.values()
        await eventually(lambda: relay.session.deadlines.get("rotate", 0) > 10_000)
        assert site.upstream.connections[0].open
        await page.speak(tone(400) + silence(900))
        await page.until("audio.end")
        assert not page.of("error")
