"""Figures of a call as the person has it, in a real Chromium, with the local server; each prints a table.

    python bench/voice_in_browser.py barge-in     from the first loud sample at the microphone to silence
    python bench/voice_in_browser.py answer       from the end of speech to the first sample of the answer
    python bench/voice_in_browser.py press        from the press of the button to "listening"
    python bench/voice_in_browser.py main-thread  what a call costs the page's thread

Microphone and loudspeaker are Web Audio's ends: what a sound card adds (the output's part is printed) is not in it.
"""

from __future__ import annotations

import argparse
import statistics

from browser_stage import Stage, await_state, first, now_ms, spoken, stage, state_of, table, until
from playwright.sync_api import Page

LONG_ANSWER = "What can you do?"
INTERRUPTION = "Please stop talking now."
QUESTION = "What is seven times eight?"
LOUD_FOR_MS = 900  # the answer has been heard this long when it is interrupted


def in_a_call(stage: Stage) -> Page:
    page = stage.page()
    page.locator("#voice-button").click()
    await_state(page, "listening")
    return page


def ask_in_writing(page: Page, text: str) -> None:
    page.locator("#composer-text").fill(text)
    page.locator("#send-button").click()


def fall_silent(page: Page) -> None:
    """Bring the call back to listening with nothing under way."""

    def is_quiet() -> bool:
        if state_of(page) in {"speaking", "thinking"}:
            page.locator("#voice-panel").focus()
            page.keyboard.press("Escape")
        page.wait_for_timeout(1_500)  # a second Escape within three seconds would end the call
        return state_of(page) == "listening"

    page.wait_for_timeout(3_500)
    until(page, is_quiet, "quiet")


def barge_in(stage: Stage, rounds: int) -> None:
    page = in_a_call(stage)
    wav = spoken(stage.folder, INTERRUPTION)
    rows: dict[str, list[float]] = {
        "loud at the microphone -> silence at the loudspeaker": [],
        "of it: loud -> speech_started reaches the relay": [],
        "of it: relay -> silence (our own share)": [],
    }
    while len(rows["of it: relay -> silence (our own share)"]) < rounds:
        began = now_ms()
        ask_in_writing(page, LONG_ANSWER)
        until(
            page,
            lambda began=began: first(stage.marks(page, began), "loudspeaker begins") < float("inf"),
            "an answer",
        )
        page.wait_for_timeout(LOUD_FOR_MS)
        said = now_ms()
        page.evaluate("wav => window.__say(wav)", wav)
        until(
            page,
            lambda said=said: first(stage.marks(page, said), "page: audio.clear") < float("inf"),
            "a cut",
        )
        page.wait_for_timeout(600)
        marks = stage.marks(page, said)
        loud, heard = first(marks, "microphone begins"), first(marks, "upstream: speech started")
        silent = next(at for name, at in marks if name == "loudspeaker falls silent" and at > loud)
        for row, value in zip(rows.values(), (silent - loud, heard - loud, silent - heard), strict=True):
            row.append(value)
        fall_silent(page)
    latency = page.evaluate("window.__outputLatency()")
    table(rows)
    print(f"\nThe output device of this browser adds {latency:.0f} ms to the first and the last row.")


def answer(stage: Stage, rounds: int) -> None:
    page = in_a_call(stage)
    wav = spoken(stage.folder, QUESTION)
    stages = [
        ("end of speech -> speech_stopped (window of 500 ms and its detection)", "upstream: speech stopped"),
        ("-> response.created", "upstream: response created"),
        ("-> first audio at the relay (recogniser, assistant, voice)", "upstream: audio"),
        ("-> first audio at the page", "page: audio"),
        ("-> first sample at the loudspeaker (jitter buffer)", "loudspeaker begins"),
    ]
    rows: dict[str, list[float]] = {name: [] for name, _ in stages}
    rows["end of speech -> first sample heard"] = []
    for _ in range(rounds):
        said = now_ms()
        page.evaluate("wav => window.__say(wav)", wav)
        until(
            page, lambda said=said: first(stage.marks(page, said), "loudspeaker begins") < float("inf"), "it"
        )
        page.wait_for_timeout(300)
        marks = stage.marks(page, said)
        heard = first(marks, "loudspeaker begins")
        ended = max(at for name, at in marks if name == "microphone falls silent" and at < heard)
        at = ended
        for name, what in stages:
            then = first(marks, what, ended)
            rows[name].append(then - at)
            at = then
        rows["end of speech -> first sample heard"].append(heard - ended)
        await_state(page, "listening")
        page.wait_for_timeout(500)
    table(rows)


def press(stage: Stage, rounds: int) -> None:
    """The first press on a page that has just been opened, in a profile that has never seen the site; and a second."""
    rows: dict[str, list[float]] = {"first press on a fresh page": [], "another press on it": []}
    for _ in range(rounds):
        page = stage.page(own_microphone=False)
        for row in rows.values():
            page.wait_for_timeout(500)
            pressed_after = now_ms()
            page.locator("#voice-button").click()
            await_state(page, "listening", "hearing")
            marks = stage.marks(page, pressed_after)
            ready = min(first(marks, "panel: listening"), first(marks, "panel: hearing"))
            row.append(ready - first(marks, "press"))
            page.locator("#voice-button").click()
            await_state(page, "ended")
        page.context.close()
    table(rows)


def main_thread(stage: Stage, rounds: int) -> None:
    """Time of the page's thread per second, from the browser's own counters."""
    page = in_a_call(stage)
    chromium = page.context.new_cdp_session(page)
    chromium.send("Performance.enable")

    def counters() -> dict[str, float]:
        return {one["name"]: one["value"] for one in chromium.send("Performance.getMetrics")["metrics"]}

    def cost(ms: float) -> tuple[float, float]:
        before = counters()
        page.wait_for_timeout(ms)
        after = counters()
        seconds = after["Timestamp"] - before["Timestamp"]
        return tuple(
            1000 * (after[name] - before[name]) / seconds for name in ("TaskDuration", "ScriptDuration")
        )  # type: ignore[return-value]

    found: dict[str, list[tuple[float, float]]] = {"listening": [], "speaking": []}
    for _ in range(rounds):
        found["listening"].append(cost(3_000))
        began = now_ms()
        ask_in_writing(page, LONG_ANSWER)
        until(
            page,
            lambda began=began: first(stage.marks(page, began), "loudspeaker begins") < float("inf"),
            "it",
        )
        found["speaking"].append(cost(3_000))
        fall_silent(page)
    print("\n| state | ms of the thread a second, all | of it scripts |\n|---|---|---|")
    for state, costs in found.items():
        print(
            f"| {state} | {statistics.median(c[0] for c in costs):.1f} | {statistics.median(c[1] for c in costs):.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = {
        "barge-in": (barge_in, 20),
        "answer": (answer, 20),
        "press": (press, 20),
        "main-thread": (main_thread, 5),
    }
    parser.add_argument("what", choices=what)
    parser.add_argument("--rounds", type=int)
    arguments = parser.parse_args()
    run, rounds = what[arguments.what]
    with stage() as here:
        run(here, arguments.rounds or rounds)


if __name__ == "__main__":
    main()
