"""What a person may choose in the preferences: the allowlists, and nothing about how a choice is carried out."""

from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

# The voices of the Realtime API. The empty choice is the site's own voice (`REALTIME_VOICE`).
VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
VOICE_CHOICES = [("", _("The site's voice")), *((voice, voice.capitalize()) for voice in VOICES)]
SPEECH_LANGUAGES = (
    *("ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko"),
    *("nl", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi"),
)

TURN_PRESET_CHOICES = [
    ("quiet", _("Quiet room")),
    ("normal", _("Normal")),
    ("noisy", _("Noisy")),
    ("patient", _("Patient")),
    ("push_to_talk", _("Push to talk")),
    ("custom", _("My own numbers")),
]
TURN_KINDS = ("server_vad", "semantic_vad")
EAGERNESS = ("auto", "low", "medium", "high")
NOISE_DEFAULT = "near_field"
NOISE_CHOICES = [
    ("near_field", _("Near: headset or phone")),
    ("far_field", _("Far: laptop or room")),
    ("off", _("Off")),
]
# What the recogniser is told. The empty choice is the language of the pages.
SPEECH_LANGUAGE_CHOICES = [
    ("", _("The language of the pages")),
    ("any", _("Any: find out by itself")),
    *((code, get_language_info(code)["name_local"].capitalize()) for code in SPEECH_LANGUAGES),
]
ANSWERS_DEFAULT = "spoken"
ANSWERS_CHOICES = [("spoken", _("Spoken")), ("written", _("Only written"))]
END_AFTER_CHOICES = [
    (0, _("As the site does")),
    (30, _("After half a minute of silence")),
    (60, _("After a minute of silence")),
    (120, _("After two minutes of silence")),
]
CAPTION_DEFAULT = "all"
CAPTION_CHOICES = [
    ("all", _("Both sides")),
    ("answers", _("Only the assistant")),
    ("large", _("Both sides, large")),
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
