"""`manage.py serve`: the site under a web server, for production. Checks only: the work is in `realtime/serve.py`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseTrouble
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from realtime.serve import WEB_SERVERS, Service, address_of, listen, web_server


class Command(BaseCommand):
    help = "Serve the site. SIGTERM or Ctrl-C lets calls finish their sentence, saves, and ends within 20 seconds."
    requires_system_checks: list[
        str
    ] = []  # the ASGI application runs them all and refuses to load on an error

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--server", choices=WEB_SERVERS, default="uvicorn", help="default: %(default)s")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument(
            "--port", type=int, default=None, help="port to listen on, 0 for any (default: the setting PORT)"
        )

    def handle(self, *args: object, server: str, host: str, port: int | None, **options: Any) -> None:
        application = get_default_application()
        self._check_database()
        self._check_static_files()
        port = settings.PORT if port is None else port
        if not 0 <= port <= 65_535:
            raise CommandError("The port must be between 0 and 65535.")
        try:
            listening = listen(host, port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "there is no such address"
            raise CommandError(
                f"Cannot listen on {host} port {port}: {reason}. Choose another with --host or --port."
            ) from None
        address = address_of(listening)

        def announce() -> None:
            self.stdout.write(f"Serving on {address} with {server}. Ctrl-C ends it.")
            self.stdout.flush()

        Service(web_server(server, application), listening, announce).run()

    def _check_database(self) -> None:
        """Raises CommandError when it cannot be reached or its tables are not those of this version."""
        try:
            executor = MigrationExecutor(connection)
            waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseTrouble as error:
            raise CommandError(
                f"The database cannot be used ({type(error).__name__}). Check DATABASE_URL and that it is running."
            ) from None
        finally:
            connections.close_all()
        if waiting:
            raise CommandError(
                f"The database is not up to date: {len(waiting)} migrations are waiting. "
                "Run: python manage.py migrate"
            )

    def _check_static_files(self) -> None:
        """Raises CommandError when pages could not name their own scripts."""
        if not settings.DEBUG and not (Path(settings.STATIC_ROOT) / "staticfiles.json").is_file():
            raise CommandError(
                f"The static files are not in {settings.STATIC_ROOT}. "
                "Run: python manage.py collectstatic --no-input"
            )
