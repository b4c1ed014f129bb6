"""The state machine of a session: events of the page and the upstream in, effects out. Pure; time is an argument.

It takes what both sides say and what time brings. The session's state and ends are in `session_life.py`, the coming and
going of its upstream in `session_upstream.py`, the talk itself in `turns.py` and `answers.py`, microphone audio in
`intake.py`. Times are ms since the session began. Every
public verb returns the effects for the relay to perform, in order; `deadline_ms()` says when `tick()` is due.
"""

from __future__ import annotations

from typing import Any

from realtime import upstream_events as up
from realtime.allowance import RENEW_MS
from realtime.audio import BYTES_PER_SAMPLE
from realtime.browser_events import MAX_TEXT_CHARS, message
from realtime.conf import turn_detection_block
from realtime.effects import CloseBrowser, Effect, RecordAudio, SendUpstream
from realtime.exceptions import (
    BadMessage,
    TooFast,
    UpstreamLost,
    UpstreamTimeout,
    upstream_code_error,
)
from realtime.session_life import CONFIGURING, ENDED, IDLE_WARNING_MS, MINUTE_MS, NEW, READY
from realtime.session_upstream import SessionUpstream

LIMIT_WARNING_MS = 60_000
MAX_MALFORMED = 20  # within MALFORMED_WINDOW_MS
MAX_IGNORED_TYPES = 100  # counted by name; an upstream that invents more of them fills no memory
MALFORMED_WINDOW_MS = 10_000
FREE_OF_CHARGE = frozenset({"ping", "playout.started", "playout.position", "playout.cleared"})


class Session(SessionUpstream):
    """One session, from the first connection of its page to its end."""

    # ---- the page ----------------------------------------------------------------------------------------

    def attach(self, hello: dict[str, Any], now_ms: int) -> list[Effect]:
        """A connection of the page said `hello`: the first one, or one that takes up a dropped session."""
        self.now_ms = now_ms
        if self.phase == ENDED:
            return []
        resumed = self.attachments > 0
        self.attachments += 1
        self.attached = True
        self._disarm("grace", "stall")
        self._arm("heartbeat", self.config.heartbeat_ms)
        if self.phase == NEW:
            self._arm("limit_warning", max(0, self.config.max_session_ms - LIMIT_WARNING_MS))
            self._arm("limit", self.config.max_session_ms)
            self._arm("connect", self.config.connect_deadline_ms)
            self._arm("minute", MINUTE_MS)
            if self.config.limited:
                self._arm("budget", RENEW_MS)
            self._dial(0)
            if self.talk.keeping.audio:
                self.out.append(RecordAudio())
        self.intake.attach(hello["uplink_samples"])
        if played := hello.get("played"):
            self.turns.position(played["item_id"], played["samples"], now_ms, send=False)
        received = hello.get("received")
        replay = self.talk.playout.rewind((received["item_id"], received["samples"]) if received else None)
        self.shown_state = self._state()
        self._send(
            message(
                "ready",
                session_id=self.session_id,
                resumed=resumed,
                state=self.shown_state,
                uplink_samples=self.intake.samples,
                replay_from=replay,
                config=self._public_config(),
                limits={
                    "max_session_ms": self.config.max_session_ms,
                    "ends_in_ms": max(0, self.config.max_session_ms - now_ms),
                    "idle_ms": self.config.idle_ms,
                    "max_text_chars": MAX_TEXT_CHARS,
                },
            )
        )
        if received:
            self.turns.came_back(received["item_id"])
        if self.talk.keeping.audio:
            self._tell_recording()
        self._event("browser.resumed" if resumed else "browser.attached", **hello.get("client", {}))
        if resumed:
            self.talk.snapshot(self.detached_at_ms - self.config.heartbeat_ms)
        self.out += self.talk.playout.due()
        self.talk.gate.held = self.draining
        if self.phase == READY:  # before, it would be lost with what waits for the last upstream
            self.out += self.talk.gate.advance(now_ms)
        self._touch()
        return self._flush()

    def browser_gone(self, now_ms: int) -> list[Effect]:
        """The page's connection ended without the person ending the session: keep everything for a while."""
        self.now_ms = now_ms
        if self.phase == ENDED or not self.attached:
            return []
        self.attached = False
        self.detached_at_ms = now_ms
        self.talk.gate.held = self.talk.playout.paused = True
        self._disarm("heartbeat", "stall", "idle", "idle_warning")
        self._arm("grace", self.config.resume_grace_ms)
        self._event("browser.gone")
        return self._flush()

    def browser_audio(self, pcm: bytes, now_ms: int) -> list[Effect]:
        """A microphone frame. Raises BadMessage, TooLarge or TooFast: the connection ends, the session may resume."""
        self.now_ms = now_ms
        if self.phase == ENDED or not self.attached:
            return []
        if self.config.modality != "voice":
            raise BadMessage("audio in a text session")
        self._arm("heartbeat", self.config.heartbeat_ms)
        speaking = self.turns.speaking_item is not None or self.talk.turn_detection is None
        effects = self.intake.take(pcm, now_ms, ready=self.phase == READY, speaking=speaking)
        if self.talk.keeping.audio:
            effects.append(self.talk.keeping.said(pcm, len(pcm) // BYTES_PER_SAMPLE, now_ms))
        if self.intake.ack_due:
            self._ack()
            effects += self._take_out()
        return effects

    def note_dropped(self, count_bytes: int) -> None:
        """Microphone audio that never reached the upstream."""
        self.intake.not_sent(count_bytes)

    def _ack(self) -> None:
        self.intake.acked_samples = self.intake.samples
        self._send(
            message("uplink.ack", samples=self.intake.samples, dropped_ms=self.intake.dropped_ms),
            overtakes=True,
        )

    def browser_message(self, said: dict[str, Any], now_ms: int) -> list[Effect]:
        """A checked message of the page (see `browser_events.parse`). Raises BadMessage or TooFast."""
        self.now_ms = now_ms
        if self.phase == ENDED or not self.attached:
            return []
        kind = said["type"]
        self._arm("heartbeat", self.config.heartbeat_ms)
        budget = self.intake.messages if kind in FREE_OF_CHARGE else self.control_budget
        if not budget.take(1, now_ms):
            raise TooFast("messages")
        if kind == "hello":
            raise BadMessage("hello comes once")
        self.BROWSER[kind](self, said)
        return self._flush()

    def browser_position(self, item_id: str, samples: int, now_ms: int) -> list[Effect]:
        """A `playout.position` that was read without its JSON: the same as `browser_message` of it, cheaper."""
        self.now_ms = now_ms
        if self.phase == ENDED or not self.attached:
            return []
        self._arm("heartbeat", self.config.heartbeat_ms)
        if not self.intake.messages.take(1, now_ms):
            raise TooFast("messages")
        self._played(item_id, samples)
        return self._flush()

    def _on_input_text(self, said: dict[str, Any]) -> None:
        text = said["text"].strip()
        if not text:
            raise BadMessage("the text is empty")
        self._touch()
        ready = self.phase == READY
        self.turns.typed(
            text,
            said["client_id"],
            self.now_ms,
            upstream_open=ready or self.phase == CONFIGURING,
            upstream_ready=ready,
        )

    def _on_input_commit(self, _said: dict[str, Any]) -> None:
        self._touch()
        if self.talk.turn_detection is not None:
            return  # the upstream commits by itself; a second commit would be an error
        self.turns.interrupt(self.now_ms)
        if self.phase == READY:
            self._commit()
        else:
            self.pending_commit = True

    def _on_input_clear(self, _said: dict[str, Any]) -> None:
        if not self.pending_commit:  # else what is held was released before
            self.intake.thrown_away()
        self.talk.keeping.thrown_away()
        self.turns.give_up_speech()
        if self.phase == READY:
            self.out.append(SendUpstream(up.clear()))

    def _on_interrupt(self, _said: dict[str, Any]) -> None:
        self._touch()
        if self.turns.interrupt(self.now_ms):
            self._event("interrupted", by="person")

    def _on_playout_position(self, said: dict[str, Any]) -> None:
        self._played(said["item_id"], said["samples"])

    def _played(self, item_id: str, samples: int) -> None:
        before = self.talk.playout.played
        self.turns.position(item_id, samples, self.now_ms)
        if self.talk.playout.played > before:
            self.deadlines.pop("stall", None)  # progress: `_flush` arms it again if audio still waits
            self._touch()

    def _on_playout_started(self, said: dict[str, Any]) -> None:
        at_ms = said.get("at_ms")
        self.turns.started(said["item_id"], None if at_ms is None else round(at_ms), self.now_ms)

    def _on_playout_cleared(self, said: dict[str, Any]) -> None:
        self.turns.cleared(said["item_id"], said["samples"], self.now_ms)

    def _on_session_configure(self, said: dict[str, Any]) -> None:
        self._touch()
        if "interruptible" in said:
            self.talk.interruptible = said["interruptible"]
        if said.keys() & {"turn_detection", "turn_preset", "interruptible"}:
            before = None if self.talk.turn_detection is None else dict(self.talk.turn_detection)
            if "turn_detection" in said:
                self.talk.keeping.thrown_away()
                self.talk.turn_detection = turn_detection_block(said["turn_detection"])
            elif "turn_preset" in said:
                self.talk.keeping.thrown_away()
                preset = self.config.turn_preset(said["turn_preset"])
                self.talk.turn_detection = None if preset is None else dict(preset)
            if self.talk.turn_detection is not None:
                self.talk.turn_detection["interrupt_response"] = self.talk.interruptible
                self.talk.turn_detection["create_response"] = not self.talk.allowance.closed
            else:
                self.turns.give_up_speech()
            if self.phase == READY:
                self._change(
                    up.turn_detection_update(
                        self.talk.turn_detection, self._change_id("turn_detection", before)
                    )
                )
        if "keep" in said:
            self._keep(said["keep"])
        if "speed" in said:
            speed_before, self.speed = self.speed, said["speed"]  # each later upstream is told it too
            if self.phase == READY:
                self._change(up.speed_update(said["speed"], self._change_id("speed", speed_before)))
        self._event("configured", **{name: True for name in said if name != "type"})

    def _on_ping(self, said: dict[str, Any]) -> None:
        self._send(message("pong", t=said["t"], now=self.now_ms), overtakes=True)
        if (rtt_ms := said.get("rtt_ms")) is not None:
            self.link_quality.take(rtt_ms)
            if self.link_quality.due(self.now_ms):
                self._event("connection", **self.link_quality.counters())

    def _on_session_end(self, _said: dict[str, Any]) -> None:
        self._end("person_ended")

    # Which handler takes which message; `browser_events.parse` lets no other through.
    BROWSER: dict[str, Any] = {
        "input.text": _on_input_text,
        "input.commit": _on_input_commit,
        "input.clear": _on_input_clear,
        "interrupt": _on_interrupt,
        "playout.position": _on_playout_position,
        "playout.started": _on_playout_started,
        "playout.cleared": _on_playout_cleared,
        "session.configure": _on_session_configure,
        "ping": _on_ping,
        "session.end": _on_session_end,
    }

    # ---- the upstream ------------------------------------------------------------------------------------

    def upstream_event(self, event: dict[str, Any], now_ms: int) -> list[Effect]:
        """One event of the upstream. Malformed ones are dropped and counted, unknown ones ignored and counted."""
        self.now_ms = now_ms
        if self.phase not in (CONFIGURING, READY):
            return []  # over, or still from a connection that was given up
        handler = self.UPSTREAM.get(event["type"])
        if handler is None:
            name = up.word_of(event, "type") or "other"
            self.ignored[
                name if name in self.ignored or len(self.ignored) < MAX_IGNORED_TYPES else "other"
            ] += 1
            if event.get("response_id"):
                self._hear_of_answer(event["response_id"])
            return []
        if not self.upstream_budget.take(1, now_ms):
            return self._upstream_too_fast()
        before = len(self.out)
        try:
            handler(self, event)
        except up.Malformed:
            del self.out[before:]
            return self.upstream_malformed(now_ms)
        if self.talk.fatal_code:
            self._fail(upstream_code_error(self.talk.fatal_code))
        return self._flush()

    def upstream_speech(self, response_id: str, item_id: str, pcm: bytes, now_ms: int) -> list[Effect] | None:
        """A `response.output_audio.delta` that was read without its JSON: the same as `upstream_event` of it, cheaper.

        None, the common case: the speech goes to the page as it is, and nothing else follows.
        """
        self.now_ms = now_ms
        if self.phase != READY:
            return []
        if not self.upstream_budget.take(1, now_ms):
            return self._upstream_too_fast()
        flowed = self.answers.on_speech(response_id, item_id, pcm, now_ms)
        if self.talk.gate.active_id:
            self._arm("stuck", self.config.stuck_response_ms)
        return None if flowed else self._flush()

    def _upstream_too_fast(self) -> list[Effect]:
        self._event("upstream.too_fast")
        self._fail(UpstreamLost())
        return self._flush()

    def upstream_malformed(self, now_ms: int) -> list[Effect]:
        """Something that is not an event came. A few are borne, many mean that the other side is broken."""
        self.now_ms = now_ms
        self.malformed.append(now_ms)
        while self.malformed[0] <= now_ms - MALFORMED_WINDOW_MS:
            del self.malformed[0]
        if len(self.malformed) > MAX_MALFORMED:
            self._fail(UpstreamLost())
        return self._flush()

    # Which handler takes which event; everything else is ignored and counted.
    UPSTREAM: dict[str, Any] = {
        "session.updated": SessionUpstream._on_session_updated,
        "error": SessionUpstream._on_error,
        "input_audio_buffer.speech_started": lambda s, e: s._person_active(s.turns.on_speech_started, e),
        "input_audio_buffer.speech_stopped": lambda s, e: s._person_active(s.turns.on_speech_stopped, e),
        "input_audio_buffer.committed": lambda s, e: s._committed(e),
        "conversation.item.input_audio_transcription.delta": lambda s, e: s.turns.on_input_transcript_delta(
            e, s.now_ms
        ),
        "conversation.item.input_audio_transcription.completed": lambda s, e: (
            s.turns.on_input_transcript_done(e, s.now_ms)
        ),
        "conversation.item.input_audio_transcription.failed": lambda s, e: s.turns.on_input_transcript_done(
            e, s.now_ms
        ),
        "response.created": lambda s, e: s._answer_began(e),
        "response.output_item.added": lambda s, e: s._answer(s.answers.on_output_item_added, e),
        "response.output_audio_transcript.delta": lambda s, e: s._answer(s.answers.on_answer_text_delta, e),
        "response.output_text.delta": lambda s, e: s._answer(s.answers.on_answer_text_delta, e),
        "response.output_audio_transcript.done": lambda s, e: s._answer(s.answers.on_answer_text_done, e),
        "response.output_text.done": lambda s, e: s._answer(s.answers.on_answer_text_done, e),
        "response.output_audio.delta": lambda s, e: s._answer(s.answers.on_audio_delta, e),
        "response.output_audio.done": lambda s, e: s._answer(s.answers.on_audio_done, e),
        "response.output_item.done": lambda s, e: s._answer(s.answers.on_output_item_done, e),
        "response.done": lambda s, e: s._answer_done(e),
    }

    def _person_active(self, handler: Any, event: dict[str, Any]) -> None:
        handler(event, self.now_ms)
        self._touch()

    def _committed(self, event: dict[str, Any]) -> None:
        self.turns.on_committed(event, self.now_ms)
        self.intake.settled()
        self.commit_open = False

    def _answer_began(self, event: dict[str, Any]) -> None:
        self.answers.on_response_created(event, self.now_ms)
        self._hear_of_answer(self.talk.gate.active_id)
        self._touch()

    def _answer(self, handler: Any, event: dict[str, Any]) -> None:
        handler(event, self.now_ms)
        self._hear_of_answer(self.talk.gate.active_id)

    def _hear_of_answer(self, response_id: str | None) -> None:
        """The running answer goes on, whatever the event was: a function's arguments are read with their last one."""
        if response_id is None or response_id != self.talk.gate.active_id:
            return  # not for what comes after the end
        speaks = self.answers.has_begun(response_id)
        self._arm("stuck", self.config.stuck_response_ms if speaks else self.config.first_word_ms)

    def _give_up_answer(self) -> None:
        """The running answer says nothing any more. Without a word of it, what it was to answer is not answered."""
        gate = self.talk.gate
        in_vain = not (gate.active_id and self.answers.has_begun(gate.active_id))
        waits = gate.wanted or gate.owed  # then that is asked for now
        self.out += gate.stuck(self.now_ms)
        if in_vain and not waits:
            self.answers.failed(None)
        else:
            self._warn("answer.slow", "The answer stopped coming. Ask again.")

    def _answer_done(self, event: dict[str, Any]) -> None:
        self.answers.on_response_done(event, self.now_ms)
        self._disarm("stuck")
        self._touch()

    # ---- tools and the journal ---------------------------------------------------------------------------

    def tool_result(self, name: str, call_id: str, output: str, ok: bool, now_ms: int) -> list[Effect]:
        """A server-side function returned."""
        self.now_ms = now_ms
        if self.phase == READY:
            self.answers.tool_result(name, call_id, output, ok, now_ms)
        return self._flush()

    def saved(self, item_id: str, message_id: str, status: str, now_ms: int) -> list[Effect]:
        """The journal stored an item, in this state of it."""
        self.now_ms = now_ms
        if self.phase != ENDED:
            self.talk.saved(item_id, message_id, status, now_ms)
        return self._flush()

    # ---- time --------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Effect]:
        """Time has passed: whatever was due happens."""
        self.now_ms = now_ms
        for name, at_ms in sorted(self.deadlines.items(), key=lambda pair: pair[1]):
            if at_ms <= now_ms and self.deadlines.get(name) == at_ms:
                del self.deadlines[name]
                self._due(name)
        gate = self.talk.gate.deadline_ms()
        if self.phase == READY and gate is not None and gate <= now_ms:
            self.out += self.talk.gate.expired(now_ms)
            self._look_at_gate()
        return self._flush()

    def _due(self, name: str) -> None:
        if name.startswith("clear:"):
            self.turns.clear_expired(name.removeprefix("clear:"), self.now_ms)
        elif name == "configure":
            self._fail(UpstreamTimeout())
        elif name == "connect":
            self._fail(self.last_error or UpstreamTimeout())
        elif name == "heartbeat":
            self.out.append(CloseBrowser(4408))
            self.out += self.browser_gone(self.now_ms)
        elif name == "stall":
            self.turns.not_taken(self.now_ms)
            self.out.append(CloseBrowser(4508))
            self.out += self.browser_gone(self.now_ms)
        elif name == "grace":
            self._end("browser_gone")
        elif name == "idle_warning":
            self._warn("session.ending", "Are you still there?", ends_in_ms=IDLE_WARNING_MS, cause="idle")
        elif name == "minute":
            self._keep_minutes()
        elif name == "idle":
            self._end("idle")
        elif name == "budget":
            self._look_at_allowance()
        elif name == "limit_warning":
            left = self.config.max_session_ms - self.now_ms
            self._warn("session.ending", "This call is near its time limit.", ends_in_ms=left, cause="limit")
        elif name == "limit":
            self._end("time_limit")
        elif name == "stuck":
            self._give_up_answer()
        elif name == "rotate":
            self._rotate()
