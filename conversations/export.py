"""One conversation as a file to keep: Markdown to read, WebVTT to show beside a recording. Pure: no database.

JSON comes from the serializers, in `api/`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from conversations.models import Conversation, Message

# How long a caption stays when nothing is known of the speech: an unhurried reader's pace.
READING_MS_PER_CHAR = 65
SHORTEST_CUE_MS = 1_000
SPEAKERS: dict[str, str] = {
    Message.Role.USER: "You",
    Message.Role.ASSISTANT: "Assistant",
    Message.Role.TOOL: "Tool",
}


def as_markdown(conversation: Conversation, messages: Iterable[Message]) -> str:
    """The conversation as a Markdown page. Messages without words are named, not left out."""
    parts = [f"# {conversation.title or 'Conversation'}", f"Begun {_date(conversation.created_at)}."]
    for message in messages:
        parts += [
            f"## {SPEAKERS.get(message.role, message.role)}, {_date(message.created_at)} ({message.modality})",
            _said(message),
        ]
    return "\n\n".join(parts) + "\n"


def as_webvtt(conversation: Conversation, messages: Iterable[Message]) -> str:
    """What was heard, as captions. Times count from the first message; a cue lasts as long as its speech was heard."""
    parts = [
        "WEBVTT",
        f"NOTE Times count from {_date(conversation.created_at)}, the beginning of the conversation.",
    ]
    for message, start_ms, end_ms in _cues(conversation, messages):
        speaker = SPEAKERS.get(message.role, message.role)
        parts.append(
            f"{_cue_time(start_ms)} --> {_cue_time(end_ms)}\n<v {speaker}>{_cue_text(message.heard_text)}"
        )
    return "\n\n".join(parts) + "\n"


def _cues(conversation: Conversation, messages: Iterable[Message]) -> Iterator[tuple[Message, int, int]]:
    start_ms = 0
    for message in messages:
        text = message.heard_text.strip()
        if not text:
            continue
        since = (message.created_at - conversation.created_at) // timedelta(milliseconds=1)
        # Cues must not go back in time, which records of speech that overlapped may do.
        start_ms = max(start_ms, since)
        heard_ms = message.heard_ms if message.heard_ms is not None else message.generated_ms
        yield message, start_ms, start_ms + max(heard_ms or len(text) * READING_MS_PER_CHAR, SHORTEST_CUE_MS)


def _said(message: Message) -> str:
    heard, unheard = message.heard_text.strip(), message.text[len(message.heard_text) :].strip()
    lines = [heard] if heard else []
    if unheard:
        lines.append(f"*Not heard:* {unheard}")
    if message.status == Message.Status.UNANSWERED:
        lines.append("*Not answered.*")
    return "\n\n".join(lines) or f"*Nothing was understood ({message.status}).*"


def _date(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _cue_time(at_ms: int) -> str:
    seconds, ms = divmod(at_ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def _cue_text(text: str) -> str:
    """Escaped, and without blank lines: one would end the cue."""
    lines = (line.strip() for line in text.splitlines())
    return (
        "\n".join(line for line in lines if line)
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
