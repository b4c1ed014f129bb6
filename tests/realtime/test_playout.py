"""Speech on its way to the page: the window, positions, clears and replays, in samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realtime.effects import SendBrowser, SendBrowserAudio
from realtime.playout import Playout

AHEAD = 4_000


def pcm(start: int, stop: int) -> bytes:
    """Samples that say their own number."""
    return b"".join((n % 65_536).to_bytes(2, "little") for n in range(start, stop))


def playing(ahead: int = AHEAD, cap_bytes: int = 1_000_000) -> Playout:
    """With a page that is there and holds nothing."""
    playout = Playout(ahead, cap_bytes)
    playout.rewind(None)
    return playout


def audio_of(effects: list[object]) -> bytes:
    return b"".join(effect.pcm for effect in effects if isinstance(effect, SendBrowserAudio))


def messages_of(effects: list[object]) -> list[str]:
    return [effect.message["type"] for effect in effects if isinstance(effect, SendBrowser)]


def test_no_more_is_sent_than_the_window_allows() -> None:
    playout = playing()
    playout.add("a", pcm(0, 10_000))
    assert len(audio_of(playout.due())) == AHEAD * 2
    assert playout.due() == []
    assert playout.window_full
    playout.position("a", 1_000)
    assert audio_of(playout.due()) == pcm(AHEAD, AHEAD + 1_000)


def test_begin_comes_once_and_end_when_all_was_sent() -> None:
    playout = playing()
    playout.add("a", pcm(0, 100))
    assert messages_of(playout.due()) == ["audio.begin"]
    playout.add("a", pcm(100, 200))
    assert messages_of(playout.due()) == []
    playout.finish("a")
    assert messages_of(playout.due()) == ["audio.end"]
    assert playout.due() == []


def test_items_are_spoken_one_after_the_other() -> None:
    playout = playing()
    playout.add("a", pcm(0, 100))
    playout.add("b", pcm(0, 50))
    assert audio_of(playout.due()) == pcm(0, 100)
    playout.finish("a")
    assert messages_of(effects := playout.due()) == ["audio.end", "audio.begin"]
    assert audio_of(effects) == pcm(0, 50)


def test_heard_never_exceeds_sent_and_never_goes_back() -> None:
    playout = playing()
    playout.add("a", pcm(0, 10_000))
    playout.due()
    item = playout.position("a", 99_999)
    assert item is not None
    assert item.heard == AHEAD
    assert playout.position("a", 5) is item
    assert item.heard == AHEAD
    assert playout.position("unknown", 5) is None


def test_the_cap_refuses_audio_instead_of_growing() -> None:
    playout = playing(cap_bytes=1_000)
    assert playout.add("a", bytes(1_000))
    assert not playout.add("a", bytes(2))
    assert playout.held_bytes == 1_000


def test_what_was_heard_gives_its_memory_back() -> None:
    playout = playing(AHEAD * 20)
    playout.add("a", pcm(0, 60_000))
    playout.due()
    playout.position("a", 50_000)
    assert playout.held_bytes <= 2 * 10_000 + 2 * 24_000
    playout.finish("a")
    playout.position("a", 60_000)
    assert playout.held_bytes == 0
    assert playout.items == {}


def test_a_clear_waits_for_the_pages_word() -> None:
    playout = playing()
    playout.add("a", pcm(0, 3_000))
    playout.due()
    (flushed,) = playout.clear()
    assert playout.due() == []
    item = playout.settle("a", 700)
    assert item is flushed
    assert (item.heard, item.produced) == (700, 3_000)
    assert playout.settle("a", 800) is None


@given(
    lengths=st.lists(st.integers(1, 3_000), min_size=1, max_size=4),
    held=st.integers(0, 12_000),
    heard=st.integers(0, 12_000),
    reloaded=st.booleans(),
)
def test_a_page_that_comes_back_ends_up_with_every_sample_once(
    lengths: list[int], held: int, heard: int, reloaded: bool
) -> None:
    """Whatever was held, heard or lost: what the page has and what is sent again make the whole, in order."""
    names = [f"item{n}" for n in range(len(lengths))]
    playout = playing(AHEAD * 100, 10_000_000)
    for name, length in zip(names, lengths, strict=True):
        playout.add(name, pcm(0, length))
        playout.finish(name)
    playout.due()
    total = sum(lengths)
    held, heard = min(held, total), min(heard, held, total)
    # the page got `held` samples in all, and heard the first `heard` of them
    has: dict[str, bytes] = {}
    mark: tuple[str, int] | None = None
    left_held, left_heard = held, heard
    for name, length in zip(names, lengths, strict=True):
        got, played = min(length, left_held), min(length, left_heard)
        left_held, left_heard = left_held - got, left_heard - played
        if got:
            has[name], mark = pcm(0, got), (name, got)
        if played:
            playout.position(name, played)
    if reloaded:
        has = {
            name: data[: 2 * min(len(data) // 2, _heard_of(playout, name, data))]
            for name, data in has.items()
        }
        mark = None
    playout.rewind(mark)
    current = ""
    for effect in playout.due():
        if isinstance(effect, SendBrowser) and effect.message["type"] == "audio.begin":
            current = effect.message["item_id"]
            has[current] = has.get(current, b"")[: effect.message["offset_samples"] * 2]
            assert len(has[current]) == effect.message["offset_samples"] * 2
        elif isinstance(effect, SendBrowserAudio):
            has[current] += effect.pcm
    assert has == {name: pcm(0, length) for name, length in zip(names, lengths, strict=True)}


def _heard_of(playout: Playout, name: str, data: bytes) -> int:
    item = playout.items.get(name)
    return len(data) // 2 if item is None else item.heard


def test_an_end_that_may_be_lost_with_a_connection_is_told_again_to_a_page_that_holds_all() -> None:
    playout = playing()
    playout.add("a", pcm(0, 100))
    playout.finish("a")
    assert messages_of(playout.due()) == ["audio.begin", "audio.end"]
    playout.paused = True
    playout.position("a", 100)  # as the page says with its `hello`: the last frame came, the end perhaps not
    assert playout.rewind(("a", 100)) is None
    assert messages_of(playout.due()) == ["audio.end"]
    assert playout.due() == []


def test_a_page_that_holds_nothing_is_not_told_of_ends() -> None:
    playout = playing()
    playout.add("a", pcm(0, 100))
    playout.finish("a")
    playout.due()
    playout.position("a", 100)
    playout.rewind(None)
    assert playout.due() == []
