"""The coming and going of a session's upstream: dialled, introduced, replaced before it is old, lost. Pure.

What it says is taken in `session.py`; how long to wait before the next dial is in `redial.py`.
"""

from __future__ import annotations

from typing import Any

from realtime import upstream_events as up
from realtime.effects import CloseUpstream, Effect, OpenUpstream, SendUpstream, SwapUpstream, WarmUpstream
from realtime.exceptions import UpstreamError
from realtime.session_life import CONFIGURING, CONNECTING, ENDED, LOST, NEW, READY, SessionLife
from realtime.turns import OWN_ITEM

ROTATE_AGAIN_MS, ROTATE_LATER_MS = 1_000, 15_000  # somebody spoke; the next upstream could not be had


class SessionUpstream(SessionLife):
    """A session's side of its upstream sockets: at most the live one and the next."""

    def _dial(self, after_ms: int) -> None:
        self.phase = CONNECTING if self.phase == NEW else LOST
        self.out.append(OpenUpstream(after_ms))

    def upstream_opened(self, now_ms: int) -> list[Effect]:
        """The socket is open: configure it, tell it what was said before, and wait for its word."""
        self.now_ms = now_ms
        if self.phase == ENDED:
            return [CloseUpstream()]
        self.phase = CONFIGURING
        self.out += [SendUpstream(event) for event in self._introduction()]
        self._arm("configure", self.config.configure_deadline_ms)
        return self._flush()

    def _introduction(self) -> list[dict[str, Any]]:
        """What a new upstream is told first: its configuration, and what was said before."""
        self.configures += 1
        self.configure_id = f"configure_{self.configures}"
        update = up.session_update(self.config, self.configure_id)
        if self.config.modality == "voice":
            update["session"]["audio"]["input"]["turn_detection"] = self.talk.turn_detection
        history = self.config.history + self.talk.transcript.seeds()
        return [update, *up.seeds(history, f"{OWN_ITEM}{self.configures}_")]

    def _rotate(self) -> None:
        """The upstream grows old: have the next one warmed, unless somebody speaks just now."""
        if self.quiet and self.turns.speaking_item is None and self.attached:
            self.warm_items = self._said()
            self.out.append(WarmUpstream(tuple(self._introduction())))
        else:
            self._arm("rotate", ROTATE_AGAIN_MS)

    def upstream_warmed(self, now_ms: int) -> list[Effect]:
        """The next upstream is configured. It takes over between two turns, or is given up when somebody spoke."""
        self.now_ms = now_ms
        if (
            self.phase == READY
            and self.quiet
            and self.turns.speaking_item is None
            and self.warm_items == self._said()
        ):
            self.out.append(SwapUpstream())
            self._event("upstream.rotated")
            self.rotations += 1
            self._arm("rotate", self.config.rotate_after_ms)
            self.intake.lost()  # what was no item yet, such as the onset of a word
            self.out += self.intake.ready(speaking=False)
        elif self.phase == READY:
            self._arm("rotate", ROTATE_AGAIN_MS)
        return self._flush()

    def warming_failed(self, now_ms: int) -> list[Effect]:
        """The next upstream could not be had: the live one goes on."""
        self.now_ms = now_ms
        if self.phase == READY:
            self._arm("rotate", ROTATE_LATER_MS)
        return self._flush()

    def _said(self) -> int:
        return len(self.talk.transcript.items)

    def upstream_closed(self, error: UpstreamError, now_ms: int) -> list[Effect]:
        """The socket could not be opened, or is gone. `error` says whether trying again can help."""
        self.now_ms = now_ms
        if self.phase != ENDED:
            self._lost(error)
        return self._flush()

    def _lost(self, error: UpstreamError) -> None:
        """Dial again with backoff and full jitter, or give up."""
        was_ready = self.phase == READY
        self.last_error = error
        self.answers.cut_off(self.now_ms)
        self.turns.upstream_lost(self.now_ms)
        self.intake.lost()
        self._disarm("configure", "rotate", "stuck")
        self.out.append(CloseUpstream())
        self._event("upstream.lost", code=error.code)
        if not self.attached and was_ready:
            self._end("browser_gone")  # nobody listens: do not pay for another one
            return
        delay_ms = self.redial.delay_ms(error)
        if delay_ms is None:
            self._fail(error)
            return
        self.upstream_reconnects += 1
        self._dial(delay_ms)
