"""What a person may choose in the preferences: the allowlists, and nothing about how a choice is carried out."""

from django.utils.translation import gettext_lazy as _

# The voices of the Realtime API. The empty choice is the site's own voice (`REALTIME_VOICE`).
VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
VOICE_CHOICES = [("", _("The site's voice")), *((voice, voice.capitalize()) for voice in VOICES)]

TURN_PRESET_CHOICES = [
    ("quiet", _("Quiet room")),
    ("normal", _("Normal")),
    ("noisy", _("Noisy")),
    ("patient", _("Patient")),
    ("push_to_talk", _("Push to talk")),
]
# What may be kept of a conversation.
KEEP_DEFAULT = "transcript"
KEEP_CHOICES = [
    ("nothing", _("Nothing")),
    ("transcript", _("What was said, as text")),
    ("audio", _("Text and audio")),
]
LANGUAGE_CHOICES = [("", _("As my browser says")), ("en", "English"), ("de", "Deutsch")]
THEME_CHOICES = [("system", _("As my device")), ("light", _("Light")), ("dark", _("Dark"))]
