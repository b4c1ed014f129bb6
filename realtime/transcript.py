"""Items of a session gathered into messages: order by onset, deltas into texts, heard and unheard parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from realtime.conf import Seed
from realtime.effects import RecordMessage

PENDING, COMPLETED, INTERRUPTED, FAILED, UNANSWERED = (
    "pending",
    "completed",
    "interrupted",
    "failed",
    "unanswered",
)
# What a new upstream is told of the past: it reads that again for each answer, and all of it is paid for.
TOLD_MESSAGES, TOLD_CHARS = 40, 8_000  # about 2,000 tokens
LEAST_CHARS = 40  # of a message that fits in part


@dataclass(slots=True)
class Item:
    """One speaker's stretch. `ordinal` is its place in the session, given at its onset and never changed."""

    item_id: str
    role: str
    modality: str
    ordinal: int
    client_id: str = ""
    response_id: str = ""
    text: str = ""
    status: str = PENDING
    heard_ms: int | None = None
    generated_ms: int | None = None
    heard_chars: int | None = None
    changed_ms: int = 0
    checkpoint_ms: int = 0
    shown: bool = False  # the page was told of it
    message_id: str = ""
    doubtful: bool = False  # its recogniser was not sure of it
    refused: bool = False  # the upstream did not take it: it was never a part of the talk
    stored_status: str = PENDING
    audio_ms: int | None = None  # so much of its sound is kept

    @property
    def heard_text(self) -> str:
        """What was heard of it."""
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]


class Transcript:
    """All items of a session, in order of onset."""

    def __init__(self, first_position: int) -> None:
        self.first_position = first_position
        self.items: dict[str, Item] = {}  # insertion order is the order of onset
        self.keeps = True
        self.unkept: set[str] = set()  # items that began when nothing was to be kept

    def open(self, item_id: str, role: str, modality: str, now_ms: int, client_id: str = "") -> Item:
        """The item, made at its onset if it is new."""
        item = self.items.get(item_id)
        if item is None:
            item = Item(item_id, role, modality, len(self.items), client_id, changed_ms=now_ms)
            self.items[item_id] = item
            if not self.keeps:
                self.unkept.add(item_id)
        return item

    def discard(self, item_id: str) -> None:
        """Forget an item of which nothing came (its place stays empty, so no ordinal is given twice)."""
        if item := self.items.get(item_id):
            item.status = FAILED
            item.shown = False

    def after(self, item: Item) -> str | None:
        """The id of the item before this one that the page knows, or None."""
        for other in reversed(
            self.items.values()
        ):  # it is mostly the last: a long call is as quick as a short one
            if other.shown and other.ordinal < item.ordinal:
                return other.item_id
        return None

    def record(self, item: Item) -> RecordMessage:
        """The item as the journal keeps it."""
        return RecordMessage(
            item_id=item.item_id,
            position=self.first_position + item.ordinal,
            role=item.role,
            modality=item.modality,
            status=item.status,
            text=item.text,
            heard_chars=item.heard_chars,
            heard_ms=item.heard_ms,
            generated_ms=item.generated_ms,
            client_id=item.client_id,
            audio_ms=item.audio_ms,
            unsure=item.doubtful,
        )

    def mark_heard(self, item: Item, heard_ms: int, generated_ms: int, complete: bool) -> None:
        """Note how much of a spoken item was heard; `complete` when that was all of it."""
        item.generated_ms = generated_ms
        item.heard_ms = min(heard_ms, generated_ms)
        if complete:
            item.heard_chars = None
            return
        item.status = INTERRUPTED
        item.heard_chars = heard_characters(item.text, item.heard_ms, generated_ms)

    def seeds(self) -> tuple[Seed, ...]:
        """What was said and heard, for a new upstream session: failed, refused and empty items are left out."""
        found = []
        for item in self.items.values():
            text = item.heard_text.strip()
            left_out = item.status == FAILED or item.refused
            if item.role in ("user", "assistant") and text and not left_out:
                found.append(Seed(item.role, text))
        return tuple(found)


def latest(newest_first: Iterable[Seed]) -> tuple[Seed, ...]:
    """As many of the last messages as a new upstream is told, oldest first; of one that fits in part, its end."""
    told: list[Seed] = []
    left = TOLD_CHARS
    for seed in newest_first:
        if len(told) == TOLD_MESSAGES or not left:
            break
        text = seed.text if len(seed.text) <= left else _end_of(seed.text, left)
        if not text:
            break
        told.append(Seed(seed.role, text))
        left -= len(text)
    return tuple(reversed(told))


def _end_of(text: str, most: int) -> str:
    """The end of a text, marked as cut and from the start of a word if one is near; "" when it is not worth it."""
    if most < LEAST_CHARS:
        return ""
    rest = text[len(text) - most + 2 :]
    return "… " + rest[rest.find(" ", 0, LEAST_CHARS) + 1 :]


def heard_characters(text: str, heard_ms: int, generated_ms: int) -> int:
    """How many characters of the text were heard: in proportion to time, back to the end of a whole word."""
    if generated_ms <= 0 or heard_ms <= 0:
        return 0
    if heard_ms >= generated_ms:
        return len(text)
    count = len(text) * heard_ms // generated_ms
    if count < len(text) and not text[count].isspace():
        while count and not text[count - 1].isspace():
            count -= 1
    return len(text[:count].rstrip())
