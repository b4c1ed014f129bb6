"""The life of a session: its state, deadlines, ends, and what its page is told of itself. Pure; time is an argument.

`session.py` builds on it and takes what the page and the upstream say.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from realtime import upstream_events as up
from realtime.allowance import Verdict
from realtime.answers import Answers
from realtime.audio import samples_to_ms
from realtime.browser_events import message
from realtime.conf import RelayConfig
from realtime.effects import (
    Effect,
    End,
    RecordAudio,
    RecordEnd,
    RecordEvent,
    RecordMessage,
    RecordUsage,
    SendBrowser,
    SendUpstream,
)
from realtime.exceptions import UpstreamError
from realtime.intake import Intake
from realtime.keeping import LEVELS, NOTHING
from realtime.link_quality import LinkQuality
from realtime.queues import control_budget, upstream_budget
from realtime.redial import Redial
from realtime.talk import Talk
from realtime.turns import OWN_ITEM, Turns
from realtime.usage import SESSION_TIME

IDLE_WARNING_MS = 30_000
MAX_CHANGES = 20  # of the configuration, that may still be refused
ALREADY: Any = object()  # a change that is not the person's is not taken back
MINUTE_MS = 60_000
BUDGET_WARNING, BUDGET_WRAP_UP = 80, 95  # percent used
WRAP_UP = "The time for this call is nearly over. In your next answer, wrap up and say goodbye kindly."

NEW, CONNECTING, CONFIGURING, READY, LOST, ENDED = (
    "new",
    "connecting",
    "configuring",
    "ready",
    "lost",
    "ended",
)

# End reason -> close code and the sentence of the warning or error before it, when there is one.
END_CODES = {
    "person_ended": 1000,
    "idle": 4408,
    "time_limit": 4440,
    "budget": 4429,
    "superseded": 4409,
    "revoked": 4403,
    "operator": 4403,
    "conversation_deleted": 4403,
    "browser_gone": 4408,
    "draining": 4503,
    "storage_stuck": 4503,
    "internal": 4500,
}


class SessionLife:
    """What a session is, apart from what is said to it. Effects gather in `out` until a verb hands them over."""

    def __init__(self, config: RelayConfig, rng: random.Random, session_id: str = "") -> None:
        self.config = config
        self.session_id = session_id
        self.out: list[Effect] = []
        self.intake = Intake(config.uplink_pending_ms)
        self.talk = Talk(config, self.out, self.intake)
        self.turns, self.answers = Turns(self.talk), Answers(self.talk)
        self.phase = NEW
        self.attached = False
        self.attachments = 0
        self.detached_at_ms = 0
        self.deadlines: dict[str, int] = {}
        self.clearing = False  # some of the deadlines are for the answers to a clear
        self.now_ms = 0
        # the way up
        self.pending_commit = False  # push-to-talk was released before the upstream was ready
        self.commit_open = False  # it was told, and has not confirmed it
        self.control_budget = control_budget()
        self.upstream_budget = upstream_budget()
        # the upstream
        self.configures = 0
        self.configure_id = ""
        # Event id of a session.update -> what it changed, and what that was before.
        self.changes: dict[str, tuple[str, Any]] = {}
        self.redial = Redial(config.reconnect_tries, rng)
        self.last_error: UpstreamError | None = None  # why the last try failed
        self.upstream_reconnects = 0
        self.rotations = 0
        self.speed: float | None = None  # of speech, when the person chose one
        self.warm_told: tuple[Any, ...] = ()  # what the upstream that is being warmed was told
        self.malformed: list[int] = []
        self.ignored: Counter[str] = Counter()
        self.shown_state = ""
        self.link_quality = LinkQuality()
        self.minutes_kept = 0  # blocks of session time in the ledger
        self.budget_told = 0
        self.draining = False
        self.end_reason = ""

    # ---- ends --------------------------------------------------------------------------------------------

    def end(self, reason: str, now_ms: int) -> list[Effect]:
        """End from outside: superseded, revoked, draining, internal."""
        self.now_ms = now_ms
        self._end(reason)
        return self._flush()

    def _end(self, reason: str, close_code: int | None = None) -> None:
        if self.phase == ENDED:
            return
        self.end_reason = reason
        self.turns.finish(self.now_ms)
        self.answers.cut_off(self.now_ms)
        self._keep_minutes(last=True)
        self.phase = ENDED
        self.deadlines.clear()
        summary = {
            "duration_ms": self.now_ms,
            "turns": self.talk.answers,
            "interruptions": self.talk.interruptions,
        }
        self._event("ended", reason=reason, ignored=dict(self.ignored.most_common(20)))
        self.out.append(RecordEnd(reason, self.counters()))
        self._send(message("ended", reason=reason, summary=summary))
        self.out.append(End(reason, close_code or END_CODES.get(reason, 4500)))

    def _fail(self, error: UpstreamError) -> None:
        """The upstream cannot be had: say so and end."""
        if self.phase == ENDED:
            return
        self._send(
            message(
                "error",
                code=error.code,
                message=error.sentence,
                retryable=error.retryable,
                retry_after=error.retry_after_s,
            ),
            overtakes=True,
        )
        self._end(error.code.replace(".", "_"), error.close_code)

    def budget(self, percent: int, now_ms: int) -> list[Effect]:
        """So much of a budget is used: warn once, ask the assistant once to wrap up, end."""
        self.now_ms = now_ms
        if self.phase == ENDED or percent < BUDGET_WARNING:
            return []
        if percent >= 100:
            self._spent()
            return self._flush()
        if self.budget_told < BUDGET_WARNING:
            self._warn("budget.near", "Most of the budget for calls is used.")
        if percent >= BUDGET_WRAP_UP and self.budget_told < BUDGET_WRAP_UP and self.phase == READY:
            self.out.append(SendUpstream(wrap_up()))
            self._event("budget.wrap_up")
            self.budget_told = BUDGET_WRAP_UP
        self.budget_told = max(self.budget_told, BUDGET_WARNING)
        return self._flush()

    def _spent(self) -> None:
        text = "The budget for calls is used up for now. Your conversation is safe."
        self._send(
            message("error", code="limit.budget", message=text, retryable=False, retry_after=None),
            overtakes=True,
        )
        self._end("budget")

    def reserved(self, reference: str, verdict: Verdict, now_ms: int) -> list[Effect]:
        """What became of a wish to reserve: answers go on, or are stopped and not begun any more."""
        self.now_ms = now_ms
        if self.phase == ENDED:
            return []
        allowance = self.talk.allowance
        was_closed = allowance.closed
        if not allowance.reserved(reference, verdict):
            self.out += self.talk.gate.cancel()
        if allowance.closed != was_closed:
            self._event("budget.closed" if allowance.closed else "budget.open")
            self._tell_who_begins_answers()
        if allowance.limited:
            again_ms = allowance.look_again_ms(now_ms)
            self.deadlines["budget"] = min(self.deadlines.get("budget", now_ms + again_ms), now_ms + again_ms)
        if self.phase == READY:
            self.out += self.talk.gate.advance(now_ms)
        return self._flush()

    def _look_at_allowance(self) -> None:
        """Reserve on; end when the budgets have no room for more and the last answer was heard."""
        allowance = self.talk.allowance
        if allowance.time_is_spent(self.now_ms) or (allowance.is_spent(self.now_ms) and self.quiet):
            self._spent()
            return
        allowance.heard(self.talk.audio_in_ms)
        allowance.renew(self.now_ms)
        self._arm("budget", allowance.look_again_ms(self.now_ms))

    def _tell_who_begins_answers(self) -> None:
        """While the budgets have no room, the upstream must not begin answers by itself."""
        if self.talk.turn_detection is None:
            return
        self.talk.turn_detection["create_response"] = not self.talk.allowance.closed
        if self.phase == READY:
            self._change(
                up.turn_detection_update(self.talk.turn_detection, self._change_id("turn_detection", ALREADY))
            )

    def _change_id(self, what: str, before: Any = None) -> str:
        self.configures += 1
        event_id = f"change_{self.configures}"
        self.changes[event_id] = what, before
        while len(self.changes) > MAX_CHANGES:
            del self.changes[next(iter(self.changes))]
        return event_id

    def _change_refused(self, event_id: str) -> str:
        """The upstream goes on as before, and the next one is not told either: it would refuse all of it."""
        what, before = self.changes.pop(event_id)
        later = [name for name, change in self.changes.items() if change[0] == what]
        later = [name for name in later if _number(name) > _number(event_id)]
        if later:  # there was another one since, which stands: it is not taken back to what was refused
            self.changes[later[0]] = what, before
        elif what == "speed":
            self.speed = before
        elif before is not ALREADY:
            self.talk.turn_detection = before
        return what

    def _change(self, event: dict[str, Any]) -> None:
        self.out.append(SendUpstream(event))

    def drain(self, now_ms: int) -> list[Effect]:
        """The process is going down: tell the page, let the sentence finish, take nothing new."""
        self.now_ms = now_ms
        if self.phase == ENDED or self.draining:
            return []
        self.draining = self.talk.gate.held = True
        self._send(message("draining", message="This server is restarting. The call will go on in a moment."))
        return self._flush()

    # ---- what is kept ------------------------------------------------------------------------------------

    def keep(self, level: str, now_ms: int) -> list[Effect]:
        """The choice that is stored for the conversation. It takes consent away; only the person's page gives more."""
        self.now_ms = now_ms
        if self.phase != ENDED and LEVELS.index(level) < LEVELS.index(self.talk.keeping.level):
            self._keep(level)
        return self._flush()

    def recording_failed(self, now_ms: int) -> list[Effect]:
        """Audio cannot be kept any more: the call goes on without."""
        self.now_ms = now_ms
        keeping = self.talk.keeping
        if self.phase != ENDED and keeping.audio:
            keeping.may_record = False
            self._keep(keeping.level)
            self._event("recording.failed")
            self._warn("recording.stopped", "Your audio could not be kept any further. The call goes on.")
        return self._flush()

    def _keep(self, level: str) -> None:
        changed = self.talk.keeping.choose(level)
        self.talk.transcript.keeps = level != NOTHING
        if changed:
            self.talk.playout.keeps = self.talk.keeping.audio
            self._tell_recording()
            if self.talk.keeping.audio:
                self.out.append(RecordAudio())

    def _tell_recording(self) -> None:
        self._send(message("recording", on=self.talk.keeping.audio))

    @property
    def quiet(self) -> bool:
        """Whether nothing is being said or made: a good moment to leave."""
        return (
            not self.talk.gate.busy and self.talk.playout.sounding is None and not self.talk.playout.cleared
        )

    def counters(self) -> dict[str, Any]:
        """The numbers of the session row."""
        return {
            "turns": self.talk.answers,
            "interruptions": self.talk.interruptions,
            "reconnects_browser": max(0, self.attachments - 1),
            "reconnects_upstream": self.upstream_reconnects,
            "audio_in_ms": samples_to_ms(self.intake.total_samples),
            "audio_out_ms": self.talk.audio_out_ms,
            "dropped_ms": self.intake.dropped_ms,
            "first_audio_ms": self.talk.first_audio_ms,
            **self.link_quality.counters(),
        }

    # ---- time --------------------------------------------------------------------------------------------

    def deadline_ms(self) -> int | None:
        """When `tick` must be called at the latest; None when nothing is waited for."""
        first = min(self.deadlines.values(), default=None)
        if self.phase == READY and (gate := self.talk.gate.deadline_ms()) is not None:
            return gate if first is None else min(first, gate)
        return first

    def _keep_minutes(self, *, last: bool = False) -> None:
        """A ledger row for each minute that is over; at the end of the session one for what is left of it."""
        while (left_ms := self.now_ms - self.minutes_kept * MINUTE_MS) >= MINUTE_MS or (last and left_ms > 0):
            self.minutes_kept += 1
            used = RecordUsage(
                meter=SESSION_TIME,
                reference=f"minute_{self.minutes_kept}",
                seconds=min(left_ms, MINUTE_MS) / 1000,
                model=self.config.model,
            )
            self.talk.keep_usage(used)
        self._arm("minute", (self.minutes_kept + 1) * MINUTE_MS - self.now_ms)

    def _touch(self) -> None:
        """The person or the assistant did something: the session is not idle."""
        if self.attached and self.phase != ENDED:
            if "idle_warning" not in self.deadlines and "idle" in self.deadlines:
                self._warn("session.stay", "")
            self._arm("idle_warning", max(0, self.config.idle_ms - IDLE_WARNING_MS))
            self._arm("idle", self.config.idle_ms)

    def _arm(self, name: str, after_ms: int) -> None:
        self.deadlines[name] = self.now_ms + after_ms

    def _disarm(self, *names: str) -> None:
        for name in names:
            self.deadlines.pop(name, None)

    # ---- what the page is told ---------------------------------------------------------------------------

    def _state(self) -> str:
        if self.phase in (NEW, CONNECTING) or (self.phase == CONFIGURING and not self.upstream_reconnects):
            return "connecting"
        if self.phase in (LOST, CONFIGURING):
            return "reconnecting"
        if self.turns.speaking_item:
            return "hearing"
        sounding = self.talk.playout.sounding
        if sounding is not None and sounding.heard > 0:
            return "speaking"
        if sounding is not None or self.talk.gate.busy or self.talk.gate.wanted or self.talk.tools_running:
            return "thinking"
        return "listening"

    def _public_config(self) -> dict[str, Any]:
        """What the page may know of the configuration: never instructions, tools or addresses."""
        detection = self.talk.turn_detection
        return {
            "modality": self.config.modality,
            "voice": self.config.voice,
            "model": self.config.model,
            "turn_detection": {"type": "none"} if detection is None else detection,
            "interruptible": self.talk.interruptible,
            "offline": self.config.is_local,
        }

    def _send(self, said: dict[str, Any], overtakes: bool = False) -> None:
        self.out.append(SendBrowser(said, overtakes))

    def _warn(self, code: str, text: str, **more: Any) -> None:
        self._send(message("warning", code=code, message=text, **more), overtakes=True)

    def _event(self, name: str, /, **data: Any) -> None:
        self.out.append(RecordEvent(self.now_ms, name, data))

    def _flush(self) -> list[Effect]:
        """The effects gathered since the last call, with the deadlines and the state that follow from them."""
        if self.phase != ENDED:
            waiting = self.talk.playout.cleared
            if waiting or self.clearing:
                self.clearing = bool(waiting)
                for item_id in waiting:
                    self.deadlines.setdefault(f"clear:{item_id}", self.now_ms + self.config.clear_deadline_ms)
                for name in [n for n in self.deadlines if n.startswith("clear:") and n[6:] not in waiting]:
                    del self.deadlines[name]
            if self.attached and self.talk.playout.window_full:
                self.deadlines.setdefault("stall", self.now_ms + self.config.stall_ms)
            else:
                self.deadlines.pop("stall", None)
            state = self._state()
            if state != self.shown_state and self.attached:
                self.shown_state = state
                self._send(message("state", state=state, detail=None), overtakes=state == "hearing")
        effects = self._take_out()
        if unkept := self.talk.transcript.unkept:
            effects = [e for e in effects if not (isinstance(e, RecordMessage) and e.item_id in unkept)]
        return effects

    def _take_out(self) -> list[Effect]:
        if not self.out:
            return []
        effects = self.out[:]
        self.out.clear()
        return effects


def wrap_up() -> dict[str, Any]:
    """The note to the assistant that the budget is nearly used: to the live upstream, and to each that follows it."""
    return up.create_text_item("system", WRAP_UP, f"{OWN_ITEM}wrap_up")


def _number(event_id: str) -> int:
    return int(event_id.rpartition("_")[2])
