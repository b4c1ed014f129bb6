"""The first rate cards: prices of the provider's model pages as they were in the autumn of 2026."""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import migrations

VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
NOTE = "From the provider's model pages, autumn 2026. Compare with your bill."
# model: text in, cached, out; audio in, cached, out; image in, cached (USD per million tokens)
TOKENS = {
    "gpt-realtime-2.1": ("4", "0.40", "24", "32", "0.40", "64", "5", "0.50"),
    "gpt-realtime-2": ("4", "0.40", "24", "32", "0.40", "64", "5", "0.50"),
    "gpt-realtime-2.1-mini": ("0.60", "0.06", "2.40", "10", "0.30", "20", "0.80", "0.08"),
    "gpt-realtime-1.5": ("4", "0.40", "16", "32", "0.40", "64", "5", "0.50"),
}
MINUTES = {"gpt-transcribe": "0.0045", "gpt-live-transcribe": "0.017", "gpt-realtime-whisper": "0.017"}
FIELDS = (
    "text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out", "image_in", "image_cached",
)


def add(apps, schema_editor):
    cards = apps.get_model("realtime", "RateCard").objects
    for model, prices in TOKENS.items():
        values = dict(zip(FIELDS, map(Decimal, prices), strict=True))
        cards.create(engine="openai", model=model, valid_from=VALID_FROM, note=NOTE, **values)
    for model, price in MINUTES.items():
        cards.create(
            engine="openai", model=model, valid_from=VALID_FROM, note=NOTE, per_minute=Decimal(price)
        )


class Migration(migrations.Migration):
    dependencies = [("realtime", "0002_operations")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
