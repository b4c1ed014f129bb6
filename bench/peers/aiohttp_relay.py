"""A text-only relay on aiohttp: the browser speaks the provider's events, which are looked at and passed on.

`python aiohttp_relay.py PORT UPSTREAM`. aiohttp takes a browser's offer to compress, as its default is.
"""

import asyncio
import json
import sys

from aiohttp import ClientSession, WSMsgType, web


def allowed(text):
    """Whether an event may pass: by its type, as the relays of this kind decide it."""
    return json.loads(text)["type"] not in ("session.update", "session.created")


async def relay(request):
    """One connection."""
    browser = web.WebSocketResponse()
    await browser.prepare(request)
    async with request.app["session"].ws_connect(sys.argv[2]) as upstream:

        async def down():
            async for message in upstream:
                if message.type == WSMsgType.TEXT and allowed(message.data):
                    await browser.send_str(message.data)

        pump = asyncio.create_task(down())
        async for message in browser:
            if message.type == WSMsgType.TEXT and allowed(message.data):
                await upstream.send_str(message.data)
        pump.cancel()
    return browser


async def session(app):
    """One HTTP session for all upstreams."""
    async with ClientSession() as app["session"]:
        yield


application = web.Application()
application.router.add_get("/", relay)
application.cleanup_ctx.append(session)
web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
