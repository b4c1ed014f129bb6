"""A voice relay as tutorials write one: Channels' own consumer, a task per upstream, JSON and base64 as they come.

An ASGI application of its own, for `daphne peers.tutorial:application`; UPSTREAM is the address to dial. What it lacks
is what a product is for: tokens, limits, interruption, storage, bounds.
"""

import asyncio
import base64
import json
import os
from pathlib import Path

from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "channels",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ.get("BENCH_WORK", ".")) / "tutorial.sqlite3",
        }
    },
)
import django  # noqa: E402

django.setup()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import re_path  # noqa: E402
from slow_query import start_slow_queries  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

call_command("migrate", verbosity=0)


class Tutorial(AsyncWebsocketConsumer):
    """One connection."""

    async def connect(self):
        """Dial the upstream, then accept."""
        start_slow_queries()
        self.upstream = await connect(os.environ["UPSTREAM"], compression=None, max_size=None)
        await self.accept()
        self.pump = asyncio.create_task(self.forward())

    async def disconnect(self, code):
        """End both."""
        if hasattr(self, "pump"):
            self.pump.cancel()
            await self.upstream.close()

    async def receive(self, text_data=None, bytes_data=None):
        """A frame of the microphone."""
        audio = base64.b64encode(bytes_data).decode()
        await self.upstream.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    async def forward(self):
        """Speech for the page."""
        async for text in self.upstream:
            event = json.loads(text)
            if event["type"] == "response.output_audio.delta":
                await self.send(bytes_data=base64.b64decode(event["delta"]))


application = ProtocolTypeRouter(
    {"websocket": AuthMiddlewareStack(URLRouter([re_path("", Tutorial.as_asgi())]))}
)
