"""`manage.py purge`: delete what is older than the retention settings say. Run it daily; `--dry-run` only counts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from realtime import past, recordings
from voiceproject import retention


class Command(BaseCommand):
    help = (
        "Delete conversations, audio, sessions and remains of logins older than the retention settings say."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """`--dry-run`."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, dry_run: bool = False, **options: Any) -> None:
        """One line for each kind."""
        if dry_run:
            for what, rows in retention.due().items():
                self.stdout.write(f"would delete {rows.count()} {what}")
            lost = recordings.orphans(timezone.now())
            self.stdout.write(f"would delete {len(lost)} {retention.LOST_AUDIO}")
            return
        past.whole()  # while the rows of days that stay are all there
        retention.purge(tell=lambda what, count: self.stdout.write(f"deleted {count} {what}"))
