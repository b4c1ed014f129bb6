"""Make or repair the two accounts to try the site with. For development only: their passwords are public."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

DEMO = ("demo", "demo-voice-2026")
OPERATOR = ("operator", "operator-voice-2026")


class Command(BaseCommand):
    help = (
        "Make or repair the demo account and the operator account, and say how to log in. Needs DEBUG=true."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Change nothing when both are as they should be: a new password hash would end running logins."""
        if not settings.DEBUG:
            raise CommandError("Demo accounts have public passwords, so they are made only with DEBUG=true.")
        with transaction.atomic():
            _ensure(*DEMO, is_operator=False)
            _ensure(*OPERATOR, is_operator=True)
        self.stdout.write(f"Log in as {DEMO[0]} with the password {DEMO[1]}.")
        self.stdout.write(f"The admin at /admin/ opens to {OPERATOR[0]} with the password {OPERATOR[1]}.")


def _ensure(username: str, password: str, *, is_operator: bool) -> None:
    user, _made = User.objects.get_or_create(username=username, defaults={"email": f"{username}@example.com"})
    wanted = {"is_active": True, "is_staff": is_operator, "is_superuser": is_operator}
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, wanted[name])
    if not user.check_password(password):
        user.set_password(password)
        changed.append("password")
    if changed:
        user.save(update_fields=changed)
