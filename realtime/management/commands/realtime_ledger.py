"""`manage.py realtime_ledger`: totals, export and recalculation of usage. The work is in `realtime/ledger.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date

from realtime import ledger
from realtime.models import UsageRecord


class Command(BaseCommand):
    help = (
        "Usage and its cost: totals, export as CSV or JSON lines, and what today's rate cards would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        period = CommandParser(add_help=False)
        period.add_argument("--since", metavar="YYYY-MM-DD", help="from this day on")
        period.add_argument("--until", metavar="YYYY-MM-DD", help="before this day")
        commands = parser.add_subparsers(dest="what", required=True)
        totals = commands.add_parser("totals", parents=[period], help="sums")
        totals.add_argument("--by", choices=("user", "model", "day"), default="day")
        export = commands.add_parser("export", parents=[period], help="every row, to standard output")
        export.add_argument("--format", choices=("csv", "jsonl"), default="csv")
        commands.add_parser("recalculate", parents=[period], help="show differences; nothing is rewritten")

    def handle(self, *args: object, **options: Any) -> None:
        rows = self._rows(options)
        if options["what"] == "export":
            for line in ledger.export(rows, options["format"]):
                self.stdout.write(line, ending="")
        elif options["what"] == "totals":
            for row in ledger.totals(rows, options["by"]):
                unknown = f", {row['unknown']} without a known price" if row["unknown"] else ""
                sums = f"{row['total_usd']:14.6f} USD  {row['minutes']:9.1f} min  {row['rows']} rows"
                self.stdout.write(f"{row['name']!s:30} {sums}{unknown}")
        else:
            self._recalculate(rows)

    def _recalculate(self, rows: QuerySet[UsageRecord]) -> None:
        count = 0
        for row, now in ledger.differences(rows):
            count += 1
            before, after = ("unknown" if usd is None else f"{usd:.8f}" for usd in (row.usd, now))
            self.stdout.write(f"{row.pk} {row.created_at:%Y-%m-%d} {row.model} {before} -> {after} USD")
        self.stdout.write(f"{count} rows would differ. Nothing was changed.")

    def _rows(self, options: dict[str, Any]) -> QuerySet[UsageRecord]:
        rows = UsageRecord.objects.all()
        if options["since"]:
            rows = rows.filter(created_at__gte=_day(options["since"]))
        if options["until"]:
            rows = rows.filter(created_at__lt=_day(options["until"]))
        return rows


def _day(text: str) -> datetime:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"{text} is no date: write YYYY-MM-DD.")
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_current_timezone())
