"""A relay of the `websockets` library alone, binary to the browser: `python websockets_relay.py PORT UPSTREAM`."""

import asyncio
import base64
import json
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def relay(browser):
    """One connection."""
    async with connect(sys.argv[2], compression=None, max_size=None) as upstream:

        async def down():
            async for text in upstream:
                event = json.loads(text)
                if event["type"] == "response.output_audio.delta":
                    await browser.send(base64.b64decode(event["delta"]))

        pump = asyncio.create_task(down())
        try:
            async for pcm in browser:
                audio = base64.b64encode(pcm).decode()
                await upstream.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        except ConnectionClosed:
            pass
        finally:
            pump.cancel()


async def main():
    """Serve for ever."""
    async with serve(relay, "127.0.0.1", int(sys.argv[1]), compression=None, max_size=None) as server:
        await server.serve_forever()


asyncio.run(main())
