"""The app of what is kept: conversations and their messages."""

from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"
