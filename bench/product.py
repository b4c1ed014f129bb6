"""The site as the bench runs it: the product's own settings, code and start, with limits that a load does not meet.

    python product.py prepare              tables and an account in DATA_DIR
    python product.py tokens COUNT FILE    session tokens, one a line, as a program with a JWT gets them
    python product.py serve SERVER PORT    `manage.py serve`

With UNPACED set, audio may come faster than speech: only the two budgets that hold a page and an upstream to real
time are lifted, everything else stays. With SLOW_QUERY set, the process has somebody's slow query.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "peers")]
os.environ["DJANGO_SETTINGS_MODULE"] = "bench_settings"


def prepare() -> None:
    """Tables, static files, one account."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    User.objects.filter(username="bench").exists() or User.objects.create_user("bench")


def tokens(count: int, file: Path) -> None:
    """Mint sessions, each with a conversation of its own."""
    from django.contrib.auth.models import User
    from django.db import transaction

    from conversations.services import create_conversation
    from realtime.admission import mint

    user = User.objects.get(username="bench")
    with file.open("w") as lines, transaction.atomic():
        for _ in range(count):
            conversation = create_conversation(owner=user)
            print(mint(user=user, origin="", conversation_id=conversation.pk).token, file=lines)


def serve(server: str, port: str) -> None:
    """The production server, as an operator starts it."""
    if "UNPACED" in os.environ:
        lift_the_pace()
    from django.core.management import call_command

    if "SLOW_QUERY" in os.environ:
        from slow_query import start_slow_queries

        from realtime.switchboard import Switchboard

        start = Switchboard.start

        async def start_with_slow_queries(self: Switchboard) -> None:
            start_slow_queries()
            await start(self)

        Switchboard.start = start_with_slow_queries
    call_command("serve", server=server, port=int(port))


def lift_the_pace() -> None:
    """Budgets for audio and for events of the upstream that are never empty; they are still asked each time."""
    from realtime import intake, session_life
    from realtime.queues import Budget

    def never_empty() -> Budget:
        return Budget(rate_per_s=1e12, burst=1e12)

    intake.audio_budget = intake.frame_budget = session_life.upstream_budget = never_empty


if __name__ == "__main__":
    import django

    django.setup()
    {"prepare": prepare, "tokens": lambda n, f: tokens(int(n), Path(f)), "serve": serve}[sys.argv[1]](
        *sys.argv[2:]
    )
