"""The chat of somebody who has talked much: 1,000 conversations, one of them with 1,000 messages.

    python bench/chat_pages.py [--rounds N]

Prints how long the server takes for each page (median and 95th percentile of `--rounds` requests over HTTP, in ms),
and how long a Chromium that has nothing in its cache takes until it shows something (first contentful paint).
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time
import urllib.request
from uuid import UUID

from browser_stage import Stage, stage

from tests.serve.site_process import run_python

MANY = 1_000
COLD_LOADS = 5
FILL = f"""
import django; django.setup()
from uuid import uuid4
from django.contrib.auth.models import User
from conversations.models import Conversation, Message
ada = User.objects.get(username="ada")
talks = Conversation.objects.bulk_create(
    Conversation(owner=ada, title=f"Talk {{number}} about the weather") for number in range({MANY})
)
Message.objects.bulk_create(
    Message(conversation=talks[0], session_id=uuid4(), item_id=f"item-{{number}}", position=number,
            role="assistant" if number % 2 else "user", modality="voice", status="completed",
            text=f"Sentence **{{number}}**, of which there are many.\\n\\n- one\\n- two" if number % 2 else "And then?")
    for number in range({MANY})
)
"""
FIRST_PAINT = """() => new Promise((resolve) => {
    new PerformanceObserver((list) => {
        const paint = list.getEntriesByName("first-contentful-paint")[0];
        if (paint) resolve(paint.startTime);
    }).observe({ type: "paint", buffered: true });
})"""


def addresses(stage: Stage) -> dict[str, str]:
    """The pages by name."""
    with sqlite3.connect(stage.folder / "db.sqlite3") as rows:
        (longest,) = rows.execute(
            "select conversation_id from conversations_message group by 1 order by count(*) desc limit 1"
        ).fetchone()
    return {
        "list of conversations": "/chat/",
        "conversation of 1,000 messages": f"/chat/{UUID(longest)}/",
        "history": "/history/",
        "search": "/history/?q=weather",
    }


def percentile(times: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(times)[min(len(times) - 1, round(share * len(times)))]


def main() -> None:
    """Fill, ask, paint, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    with stage() as on:
        run_python(on.folder, FILL)
        page = on.page(own_microphone=False)
        cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
        for name, path in addresses(on).items():
            request = urllib.request.Request(on.origin + path, headers={"Cookie": cookie})  # noqa: S310
            times = []
            for _ in range(rounds + 1):
                began = time.perf_counter()
                with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own site
                    size = len(answer.read())
                times.append((time.perf_counter() - began) * 1000)
            paints = []
            for _ in range(COLD_LOADS):
                context = on.browser.new_context(storage_state=page.context.storage_state())
                tab = context.new_page()
                tab.goto(on.origin + path)
                paints.append(float(tab.evaluate(FIRST_PAINT)))
                context.close()
            print(
                f"{name:32} {statistics.median(times[1:]):5.0f} ms, p95 {percentile(times[1:], 0.95):5.0f} ms, "
                f"{size / 1024:4.0f} KiB; first paint {statistics.median(paints):5.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
