"""The coming and going of a session's upstream: dialled, introduced, replaced before it is old, lost. Pure.

What it says of itself is taken here, the rest in `session.py`; how long to wait before the next dial is in `redial.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from realtime import upstream_events as up
from realtime.conf import Seed
from realtime.effects import CloseUpstream, Effect, OpenUpstream, SendUpstream, SwapUpstream, WarmUpstream
from realtime.exceptions import (
    FATAL_UPSTREAM_CODES,
    UpstreamError,
    UpstreamLost,
    UpstreamRefused,
    upstream_code_error,
)
from realtime.hearing import tells_probabilities
from realtime.session_life import (
    BUDGET_WRAP_UP,
    CONFIGURING,
    CONNECTING,
    ENDED,
    LOST,
    NEW,
    READY,
    SessionLife,
    wrap_up,
)
from realtime.transcript import PENDING, latest
from realtime.turns import OWN_ITEM

MIN_COMMIT_MS = 100  # the provider refuses a shorter one, and an answer to nothing would be asked for
ROTATE_AGAIN_MS, ROTATE_LATER_MS = 1_000, 15_000  # somebody spoke; the next upstream could not be had
WORDS_WITHIN_MS = 30_000  # a transcript that is not there by then holds up nothing


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
        told = [self._configuration(), *up.seeds(self._past(), f"{OWN_ITEM}{self.configures}_")]
        return [*told, wrap_up()] if self.budget_told >= BUDGET_WRAP_UP else told

    def _configuration(self) -> dict[str, Any]:
        self.configures += 1
        self.configure_id = f"configure_{self.configures}"
        update = up.session_update(self.config, self.configure_id)
        if self.config.modality == "voice":
            update["session"]["audio"]["input"]["turn_detection"] = self.talk.turn_detection
            if self.speed is not None:
                update["session"]["audio"]["output"]["speed"] = self.speed
        return update

    def _past(self) -> tuple[Seed, ...]:
        """What was said last: of the session, and of its conversation before. However long the call, it is no more."""
        return latest(reversed(self.config.history + self.talk.transcript.seeds()))

    def _rotate(self) -> None:
        """The upstream grows old: have the next one warmed, unless somebody speaks just now."""
        if self.between_turns and self.attached and not self._awaits_words():
            self.warm_told = self._told()
            self.out.append(WarmUpstream(tuple(self._introduction())))
        else:
            self._arm("rotate", ROTATE_AGAIN_MS)

    def upstream_warmed(self, now_ms: int) -> list[Effect]:
        """The next upstream is configured. It takes over between two turns, or is given up when somebody spoke."""
        self.now_ms = now_ms
        if self.phase == READY and self.between_turns and self.warm_told == self._told():
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

    @property
    def between_turns(self) -> bool:
        """Whether nobody says or makes anything, a function that was called included."""
        talk = self.talk
        waits = talk.tools_running or talk.tools_returned or talk.gate.wanted
        return self.quiet and self.turns.speaking_item is None and not waits

    def _awaits_words(self) -> bool:
        """Whether the transcript of what was just said is still to come. Only this upstream can tell it."""
        since_ms = self.now_ms - WORDS_WITHIN_MS
        items = self.talk.transcript.items.values()
        return any(i.role == "user" and i.status == PENDING and i.changed_ms > since_ms for i in items)

    def _told(self) -> tuple[Any, ...]:
        """What an introduction says now. When that changes, what was said with it is out of date."""
        return (
            len(self.talk.transcript.items),
            self._past(),
            dict(self.talk.turn_detection or {}),
            self.speed,
            self.budget_told,
        )

    def _on_session_updated(self, _event: dict[str, Any]) -> None:
        if self.phase != CONFIGURING:
            return
        self.phase = READY
        self.redial.ready(self.now_ms)
        self._disarm("configure", "connect")
        self._arm("rotate", self.config.rotate_after_ms)
        self._event("upstream.ready")
        self.out += self.intake.ready(speaking=self.talk.turn_detection is None)
        if self.pending_commit:
            self.pending_commit = False
            self._commit()
        self.out += self.talk.gate.advance(self.now_ms)
        self._touch()

    def _on_error(self, event: dict[str, Any]) -> None:
        error = up.object_of(event, "error")
        code, event_id = up.word_of(error, "code") or "", up.word_of(error, "event_id") or ""
        self._event("upstream.error", code=code)
        if self.phase == CONFIGURING and event_id == self.configure_id:
            self._configuration_refused()
        elif code in FATAL_UPSTREAM_CODES:
            self._fail(upstream_code_error(code))
        elif code == "session_expired":
            self._lost(UpstreamLost(1001))
        elif event_id and self.talk.gate.refused(event_id, code, self.now_ms):
            self._look_at_gate(code)
        elif self.turns.refused(event_id):
            pass
        elif event_id in self.changes:
            what = self._change_refused(event_id)
            self._warn(
                "configure.refused",
                f"The voice service did not accept the change of {what.replace('_', ' ')}.",
            )
        elif error.get("type") == "server_error":
            self._warn("upstream.trouble", "The voice service had a problem. If no answer comes, ask again.")

    def _configuration_refused(self) -> None:
        """Once more without what not every server knows; whatever else is refused is a fault of the settings."""
        if not tells_probabilities(self.config):
            self.config = replace(self.config, asks_how_sure=True)  # that was not the reason
            self._fail(UpstreamRefused(400))
            return
        self.config = replace(self.config, asks_how_sure=False)
        self.out.append(SendUpstream(self._configuration()))
        self._arm("configure", self.config.configure_deadline_ms)

    def _commit(self) -> None:
        if self.intake.unsettled_ms < MIN_COMMIT_MS:
            self._warn("answer.nothing_said", "That was too short to be heard. Hold the key while you speak.")
            return
        self.commit_open = True
        self.intake.released()
        self.turns.committed_by_person(self.now_ms)

    def _look_at_gate(self, code: str | None = None) -> None:
        """After a refusal or a deadline: ask for what waits, and tell of an answer that will not come."""
        gate = self.talk.gate
        if gate.failed:
            gate.failed = False
            self.answers.failed(code)
        if self.phase == READY:
            self.out += gate.advance(self.now_ms)

    def upstream_closed(self, error: UpstreamError, now_ms: int) -> list[Effect]:
        """The socket could not be opened, or is gone. `error` says whether trying again can help."""
        self.now_ms = now_ms
        if self.phase != ENDED:
            self._lost(error)
        return self._flush()

    def _lost(self, error: UpstreamError) -> None:
        """Dial again with backoff and full jitter, or give up."""
        was_ready = self.phase == READY
        # The next upstream hears what was no item yet again, and so its end.
        self.pending_commit, self.commit_open = self.pending_commit or self.commit_open, False
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
        delay_ms = self.redial.delay_ms(error, self.now_ms)
        if delay_ms is None:
            self._fail(error)
            return
        self.upstream_reconnects += 1
        self._dial(delay_ms)
