"""Answer latencies hold the silence that turn detection waited for: those that are stored get theirs added."""

from django.db import migrations
from django.db.models import F, Max, Min, OuterRef, Subquery
from django.db.models.functions import TruncHour


def add_silence(apps, schema_editor):
    Turn = apps.get_model("realtime", "Turn")
    Session = apps.get_model("realtime", "RealtimeSession")
    turns = Turn.objects.filter(silence_ms__gt=0, response_latency_ms__isnull=False)
    first = turns.aggregate(hour=TruncHour(Min("created_at")))["hour"]
    if first is None:
        return
    session_ids = turns.values("session")
    turns.update(response_latency_ms=F("response_latency_ms") + F("silence_ms"))
    longest = Turn.objects.filter(session=OuterRef("pk")).values("session").annotate(ms=Max("response_latency_ms"))
    Session.objects.filter(pk__in=session_ids).update(slowest_ms=Subquery(longest.values("ms")))
    apps.get_model("realtime", "HourFigures").objects.filter(hour__gte=first).delete()  # they are made again


class Migration(migrations.Migration):
    dependencies = [("realtime", "0014_slow_and_expensive_sessions")]

    operations = [migrations.RunPython(add_silence, migrations.RunPython.noop)]
