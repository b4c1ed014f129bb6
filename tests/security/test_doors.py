"""The doors of the site under one address's load: it is refused before anything is looked at, others come in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from realtime.models import RealtimeSession, UsedToken
from tests.realtime.page import eventually


async def knock(site: Any, user: User, address: str, token: str = "") -> ClientConnection | None:
    """A socket as the proxy in front passes it on, or None when it was refused."""
    minted = token or (await site.mint(user, modality="text"))["token"]
    try:
        return await connect(
            f"ws://127.0.0.1:{site.port}/ws/realtime/",
            subprotocols=["voice.v1", f"t.{minted}"],
            additional_headers={"X-Forwarded-For": f"6.6.6.6, {address}"},
            compression=None,
        )
    except InvalidStatus as refused:
        assert refused.response.status_code == 403  # noqa: PT017 - either way is an answer
        return None


async def test_one_address_cannot_take_all_sockets(
    make_site: Any, ada: User, bob: User, settings: Any
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    settings.REALTIME_MAX_SOCKETS_PER_ADDRESS = 3
    site = await make_site()
    sockets = [await knock(site, ada, "203.0.113.7") for _ in range(5)]
    assert [socket is not None for socket in sockets] == [True, True, True, False, False]
    assert await UsedToken.objects.acount() == 3  # what is refused at the door spends no token
    other = await knock(site, bob, "203.0.113.8")
    assert other is not None
    for socket in [*sockets, other]:
        if socket is not None:
            await socket.close()
    visitors = site.switchboard.doorkeeper._visitors
    await eventually(lambda: not any(visitor.sockets for visitor in visitors.values()))
    again = await knock(site, ada, "203.0.113.7")
    assert again is not None
    await again.close()


async def test_one_address_cannot_knock_without_end(make_site: Any, ada: User, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    settings.REALTIME_HANDSHAKES_PER_SEC = 1
    site = await make_site()
    assert [await knock(site, ada, "203.0.113.7", token="nonsense") for _ in range(10)] == [None] * 10
    good = (await site.mint(ada, modality="text"))["token"]
    site.switchboard.doorkeeper._visitors["203.0.113.7"].knocks = -1e9  # however slow this machine is
    assert await knock(site, ada, "203.0.113.7", token=good) is None
    other = await knock(site, ada, "203.0.113.8", token=good)
    assert other is not None
    await other.close()
    await eventually(lambda: not site.switchboard.relays)
    assert await RealtimeSession.objects.acount() == 1
