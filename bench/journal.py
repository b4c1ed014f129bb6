"""What it costs to keep what is said: the records of answered turns through the journal's write, in CPU and wall time.

    DATABASE_URL=postgres://... python -m bench.journal [--sessions 50] [--turns 10]

Needs an empty database (without DATABASE_URL: SQLite in a temporary folder), which it fills and leaves as it is.
"Live" is each turn in two batches, as it comes from a talk; "backlog" is full batches, as after the database was away.
The database's own CPU time is not in it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

parser = argparse.ArgumentParser()
parser.add_argument("--sessions", type=int, default=50)
parser.add_argument("--turns", type=int, default=10)
arguments = parser.parse_args()


def first_half(n: int) -> list[Any]:
    """Of a turn: typed, answered, charged."""
    from realtime.effects import RecordEvent, RecordMessage, RecordTurn, RecordUsage

    asked, answer, response = f"asked{n}", f"answer{n}", f"response{n}"
    place = (1 << 20) + 2 * n
    text = "That is a good question."
    said = {"item_id": answer, "position": place + 1, "role": "assistant", "modality": "voice"}
    return [
        RecordMessage(asked, place, "user", "text", "completed", "A question.", client_id=uuid4().hex),
        RecordEvent(n * 1000, "response.started"),
        RecordMessage(status="pending", text="That", **said),
        RecordMessage(status="completed", text=text, **said),
        RecordUsage("response", response, text_in=400, audio_in=300, text_out=6, audio_out=8),
        RecordTurn(response, answer, "completed", n * 1000, n * 1000 + 10, None, 10, 5),
        RecordEvent(n * 1000 + 30, "response.done", {"status": "completed"}),
    ]


def second_half(n: int) -> list[Any]:
    """Of a turn: its sound begins at the page, and has been heard."""
    from dataclasses import replace

    message, _, turn, _ = first_half(n)[3:]
    begun = replace(turn, playout_start_ms=5, response_latency_ms=20)
    return [
        begun,
        replace(message, heard_ms=400, generated_ms=400),
        replace(begun, heard_ms=400, generated_ms=400),
    ]


def live(sessions: list[tuple[UUID, UUID]], turns: int) -> Iterator[list[Any]]:
    """A batch for each half of each turn."""
    from realtime.journal import Entry

    for n in range(turns):
        for half in (first_half(n), second_half(n)):
            for session_id, conversation_id in sessions:
                yield [Entry(session_id, conversation_id, record) for record in half]


def backlog(sessions: list[tuple[UUID, UUID]], turns: int) -> Iterator[list[Any]]:
    """The same records in the same order, a hundred at a time."""
    from realtime.journal import BATCH

    everything = [entry for batch in live(sessions, turns) for entry in batch]
    for at in range(0, len(everything), BATCH):
        yield everything[at : at + BATCH]


with tempfile.TemporaryDirectory() as folder:
    os.environ.update(DEBUG="false", DATA_DIR=folder, PYTHON_DOTENV_DISABLED="1", SECRET_KEY="bench" * 20)
    os.environ.update(DJANGO_SETTINGS_MODULE="voiceproject.settings", REALTIME_MAX_SESSIONS="100000")

    import django

    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection, transaction

    from realtime import admission, services

    call_command("migrate", verbosity=0)

    def begin() -> tuple[UUID, UUID]:
        """One session: its id and its conversation's."""
        person = User.objects.create(username=uuid4().hex)
        token = admission.mint(user=person, origin="").token
        opening = admission.redeem(token_text=token, origin="", worker="bench")
        return opening.session_id, opening.conversation_id

    print(f"{connection.vendor}, {arguments.sessions} sessions, {arguments.turns} turns each")
    for way in (live, backlog):
        sessions = [begin() for _ in range(arguments.sessions)]
        batches = list(way(sessions, arguments.turns))
        queries = 0

        def count(execute: Any, *rest: Any) -> Any:
            """Count it and let it through."""
            global queries
            queries += 1
            return execute(*rest)

        cpu_s, wall_s = time.process_time(), time.perf_counter()
        with connection.execute_wrapper(count):
            for batch in batches:
                with transaction.atomic():
                    services.write_entries(batch)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        done = arguments.sessions * arguments.turns
        print(
            f"{way.__name__:8} {cpu_s * 1000 / done:7.2f} ms CPU {wall_s * 1000 / done:7.2f} ms wall "
            f"{queries / done:6.1f} queries a turn"
        )
    connection.close()
