"""Columns, an index, a longer text and a change of old rows. It only adds: the version before goes on meanwhile."""

from pathlib import Path
from typing import Any

from django.db import migrations, models

ROOT = Path(__file__).resolve().parents[4]


def latest(app: str) -> tuple[str, str]:
    """The newest migration of an app of the site."""
    return app, max(path.stem for path in (ROOT / app / "migrations").glob("0*.py"))


def widen(apps: Any, schema_editor: Any) -> None:
    session, message = (
        apps.get_model("realtime", "RealtimeSession"),
        apps.get_model("conversations", "Message"),
    )
    longer = models.CharField(max_length=80, blank=True)
    longer.set_attributes_from_name("client_id")
    longer.model = message
    schema_editor.alter_field(message, message._meta.get_field("client_id"), longer)  # SQLite makes the table anew
    for model, name, field in (
        (session, "next_note", models.CharField(max_length=20, null=True)),
        (message, "next_kind", models.CharField(max_length=8, db_default="plain")),
    ):
        field.set_attributes_from_name(name)
        schema_editor.add_field(model, field)
    schema_editor.add_index(message, models.Index(fields=["created_at"], name="next_message_time"))
    session.objects.update(errors=models.F("errors"))  # every old row is written anew


class Migration(migrations.Migration):
    dependencies = [latest("realtime"), latest("conversations")]
    operations = [migrations.RunPython(widen)]
