"""How costs grow: with sessions in one process, with the length of a conversation, with all that a site has kept.

    python bench/growth.py [--only sessions,conversation,site] [--charts docs/images]

sessions: CPU of a core for each session that streams 25 frames a second both ways, product and C floor, and the latency
that the product adds; needs a C compiler. conversation, site: on SQLite in a temporary folder, medians of what is done
once (a page, a call begun, the records of a turn stored), in ms of wall time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from chart import Axis, Line, chart, up_to

SESSIONS = (10, 50, 100, 200, 300, 400)
LENGTHS = (10, 100, 1_000, 10_000)
KEPT = (1_000, 10_000, 100_000, 1_000_000)
A_TALK = 100  # messages of the others' conversations
ROUNDS = 31
Figures = dict[str, list[tuple[float, float]]]


def sessions() -> Figures:
    """CPU and latency by the number of sessions in one process."""
    from relays import relays
    from rig import build, load, started, upstream

    build()
    found: Figures = {"product, uvicorn": [], "C floor": [], "p99 added, ms": []}
    with upstream():
        for count in SESSIONS:
            for name, line in (("product-uvicorn", "product, uvicorn"), ("floor", "C floor")):
                relay = relays()[name]
                with started(relay) as pid:
                    figures = load(relay, pid, count, seconds=4, open_per_second=100)
                faults = sum(figures[fault] for fault in ("lost", "reordered", "corrupt", "dead"))
                print(
                    f"{count:4} {name:16} {figures['percent_per_session']:.3f} % of a core a session, "
                    f"p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.1f} ms, faulty {faults}",
                    flush=True,
                )
                found[line].append((count, figures["percent_per_session"]))
                if line != "C floor":
                    found["p99 added, ms"].append((count, figures["p99_ms"]))
    return found


class Site:
    """A person with conversations on a site that has kept much, and what is done for that person."""

    def __init__(self) -> None:
        from django.contrib.auth.models import User
        from django.test import Client

        self.ada = User.objects.create_user(f"ada{uuid4().hex[:8]}")
        self.client = Client(HTTP_HOST="127.0.0.1")
        self.client.force_login(self.ada)
        self.kept = 0

    def talk(self, owner: Any, length: int) -> Any:
        """A conversation of so many messages."""
        from conversations.models import Conversation, Message

        talk = Conversation.objects.create(owner=owner, title="A talk about the weather")
        session_id = uuid4()
        Message.objects.bulk_create(
            (
                Message(
                    conversation=talk,
                    session_id=session_id,
                    item_id=f"item{number}",
                    position=(1 << 20) + number,
                    role="assistant" if number % 2 else "user",
                    modality="voice",
                    status="completed",
                    text="That is **one** of many." if number % 2 else "And then?",
                )
                for number in range(length)
            ),
            batch_size=5_000,
        )
        self.kept += length
        return talk

    def measured(self, talk: Any) -> dict[str, float]:
        """Median ms of each thing that is done."""
        return {
            "the page": self.median(lambda: self.page(f"/chat/{talk.pk}/")),
            "the list of conversations": self.median(lambda: self.page("/history/")),
            "a call begun": self.median(lambda: self.begin(talk)),
            "a turn stored": self.median(lambda: self.store(talk)),
        }

    def median(self, act: Callable[[], None]) -> float:
        """Of some rounds, the first of which does not count."""
        times = []
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            act()
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times[1:])

    def page(self, path: str) -> None:
        """A page of the chat, as the server makes it."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.status_code
        assert answer.content

    def begin(self, talk: Any) -> None:
        """A token, and its redemption with the history that the upstream is told; the session before is superseded."""
        from realtime import admission

        token = admission.mint(user=self.ada, origin="", conversation_id=talk.pk).token
        self.session_id = admission.redeem(token_text=token, origin="", worker="bench").session_id

    def store(self, talk: Any) -> None:
        """Question, answer, usage and timings of a turn, in one batch of the journal."""
        from realtime import services
        from realtime.effects import RecordMessage, RecordTurn, RecordUsage
        from realtime.journal import Entry

        mark = uuid4().hex[:12]
        place = (1 << 40) + time.time_ns() % (1 << 30)
        records = [
            RecordMessage(f"q{mark}", place, "user", "voice", "completed", "And then?"),
            RecordMessage(f"a{mark}", place + 1, "assistant", "voice", "completed", "That was all."),
            RecordUsage("response", f"r{mark}", text_in=400, audio_in=300, text_out=6, audio_out=8),
            RecordTurn(f"r{mark}", f"a{mark}", "completed", 1_000, 1_010, None, 10, 5),
        ]
        assert any(services.write_entries([Entry(self.session_id, talk.pk, record) for record in records]))


def conversation() -> Figures:
    """By the number of messages in the conversation."""
    found: Figures = {}
    for length in LENGTHS:
        site = Site()
        gather(found, length, site.measured(site.talk(site.ada, length)))
    return found


def whole_site() -> Figures:
    """By the number of messages of everybody; the person's own conversations stay as they are."""
    found: Figures = {}
    site = Site()
    talk = site.talk(site.ada, A_TALK)
    for _ in range(20):
        site.talk(site.ada, A_TALK // 5)
    somebody = Site()
    for size in KEPT:
        while site.kept + somebody.kept + A_TALK <= size:
            somebody.talk(somebody.ada, A_TALK)
        gather(found, size, site.measured(talk))
    return found


def gather(found: Figures, size: int, measured: dict[str, float]) -> None:
    """One more column."""
    for name, ms in measured.items():
        print(f"{size:9,} messages: {name:26} {ms:7.1f} ms", flush=True)
        found.setdefault(name, []).append((size, ms))


def draw(found: Figures, title: str, label: str, file: Path | None) -> None:
    """The chart of it, when one is wanted."""
    if file is None:
        return
    sizes = [size for size, _ in next(iter(found.values()))]
    log = sizes[-1] / sizes[0] > 50 and label != "sessions"
    x = Axis(sizes if log else up_to(sizes[-1]), label=label, log=log)
    highest = max(value for line in found.values() for _, value in line)
    lines = [Line(name, points) for name, points in found.items()]
    file.write_text(chart(title, x, Axis(up_to(highest)), lines), encoding="utf-8")


def main() -> None:
    """What was asked for, as numbers and as charts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="sessions,conversation,site")
    parser.add_argument("--charts", type=Path, help="folder for the pictures")
    wish = parser.parse_args()

    def picture(name: str) -> Path | None:
        return wish.charts and wish.charts / f"growth-{name}.svg"

    if "sessions" in wish.only:
        found = sessions()
        latency = {"product, uvicorn": found.pop("p99 added, ms")}
        draw(found, "CPU of a core for each session, %", "sessions", picture("sessions"))
        draw(latency, "Latency added, p99, ms", "sessions", picture("latency"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DEBUG="false",
            HTTPS_ONLY="false",
            DATA_DIR=folder,
            PYTHON_DOTENV_DISABLED="1",
            SECRET_KEY="bench" * 20,
            ALLOWED_HOSTS="127.0.0.1",
            LOG_LEVEL="WARNING",
            DJANGO_SETTINGS_MODULE="bench_settings",
        )
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        if "conversation" in wish.only:
            draw(conversation(), "A conversation that grows, ms", "its messages", picture("conversation"))
        if "site" in wish.only:
            draw(whole_site(), "A site that grows, ms", "messages of everybody", picture("site"))
        connection.close()


if __name__ == "__main__":
    main()
