"""What the next version knows of the tables that the version before does not."""

from django.db import models

from conversations.models import Message
from realtime.models import RealtimeSession

RealtimeSession.add_to_class("next_note", models.CharField(max_length=20, null=True))
Message.add_to_class("next_kind", models.CharField(max_length=8, db_default="plain"))
