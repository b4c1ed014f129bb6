"""`manage.py realtime_local`: hands its arguments to the local Realtime server, which itself needs no Django."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand

from realtime.local.__main__ import main


class Command(BaseCommand):
    help = "Runs the local Realtime server; see python -m realtime.local --help for its options."
    requires_system_checks: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        # All arguments belong to the server, --help as well, so Django's own parser does not see them.
        sys.exit(main(argv[2:]))

    def handle(self, *args: object, **options: object) -> None:
        sys.exit(main([str(arg) for arg in args]))
