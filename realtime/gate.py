"""The gate for answers: at most one response at a time, asked for by us or begun by the upstream's own VAD. Pure.

A second `response.create` while one runs is an error upstream and its answer would be lost, so a wish waits here until
the running response is done. A cancel before `response.created` is a no-op upstream, so it is remembered and sent then.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from realtime.effects import SendUpstream
from realtime.upstream_events import cancel_response, create_response

REQUEST_DEADLINE_MS = 10_000  # asked, but no response.created and no error: given up, and told
OWED_DEADLINE_MS = 2_000  # of a turn that was spoken into an answer: until the upstream begins the next
MAX_COLLISIONS = 3


class Phase(Enum):
    """Where the one allowed response stands."""

    FREE = "free"
    ASKED = "asked"  # response.create sent
    EXPECTED = "expected"  # a committed turn: the upstream makes one by itself
    ACTIVE = "active"


class ResponseGate:
    """Decides when `response.create` and `response.cancel` may be sent."""

    def __init__(self, per_minute: int, funded: Callable[[], bool] = lambda: True) -> None:
        self.per_minute = per_minute
        self.funded = funded  # whether the next answer is paid for
        self.phase = Phase.FREE
        self.wanted = False
        self.held = False  # nothing new is asked for: the page is away, or the site is going down
        self.active_id: str | None = None
        self.cancel_on_created = False
        self.cancelled: set[str] = set()  # responses whose late events are dropped
        self.asked_event_id = ""
        self.owed = (
            False  # a turn was committed, and the answer that the upstream makes by itself has not begun
        )
        self.failed = False  # an answer was asked for in vain: to be told, and taken back
        self.due_ms = 0  # when what was asked for, or is expected, is given up
        self.collisions = 0
        self.asked = 0
        self.starts_ms: list[int] = []

    @property
    def busy(self) -> bool:
        """Whether a response runs or is about to."""
        return self.phase is not Phase.FREE

    def over_limit(self, now_ms: int) -> bool:
        """Whether this minute's answers are used up."""
        while self.starts_ms and self.starts_ms[0] <= now_ms - 60_000:
            del self.starts_ms[0]
        return len(self.starts_ms) >= self.per_minute

    def want(self, now_ms: int) -> list[SendUpstream]:
        """An answer is wanted: asked for now, or as soon as the gate is free."""
        self.wanted = True
        return self.advance(now_ms)

    def advance(self, now_ms: int) -> list[SendUpstream]:
        """Ask, if an answer is wanted and nothing runs."""
        if not self.wanted or self.held or self.busy or self.over_limit(now_ms) or not self.funded():
            return []
        self.wanted = self.owed = False
        self.asked += 1
        self.phase, self.due_ms = Phase.ASKED, now_ms + REQUEST_DEADLINE_MS
        self.asked_event_id = f"ask_{self.asked}"
        return [SendUpstream(create_response(self.asked_event_id))]

    def expect(self, now_ms: int) -> None:
        """A turn was committed under VAD with automatic answers. While another answer runs, none may come of it."""
        self.owed = True
        if not self.busy:
            self.phase, self.due_ms = Phase.EXPECTED, now_ms + REQUEST_DEADLINE_MS

    def created(self, response_id: str, now_ms: int) -> list[SendUpstream]:
        """The upstream began a response. Cancelled at once when that was asked for before it existed."""
        self.phase, self.active_id, self.owed = Phase.ACTIVE, response_id, False
        self.collisions = 0
        self.over_limit(now_ms)  # forgets earlier minutes, also of answers that are not asked for
        self.starts_ms.append(now_ms)
        if not self.cancel_on_created:
            return []
        self.cancel_on_created = False
        return self._cancel_active()

    def done(self, response_id: str, now_ms: int) -> list[SendUpstream]:
        """A response is over: whatever waited may go."""
        self.cancelled.discard(response_id)
        ours = self.phase is Phase.ACTIVE and self.active_id == response_id
        collided = self.phase is Phase.EXPECTED and self.collisions > 0
        if ours or collided:
            self.phase, self.active_id = Phase.FREE, None
        sent = self.advance(now_ms)
        if self.owed and not self.busy:
            self.phase, self.due_ms = Phase.EXPECTED, now_ms + OWED_DEADLINE_MS
        return sent

    def cancel(self, *, upstream_does_it: bool = False) -> list[SendUpstream]:
        """Stop the running or coming response; nothing when there is none. Its late events are dropped from now on."""
        self.wanted = self.owed = False
        if self.phase is Phase.ACTIVE and self.active_id:
            self.asked_event_id = ""  # an error that is still on its way revives no wish
            if upstream_does_it:
                self.cancelled.add(self.active_id)
                return []
            return self._cancel_active()
        if self.phase is Phase.ASKED or (self.phase is Phase.EXPECTED and not upstream_does_it):
            # What was asked for and does not exist yet, no speech cancels upstream.
            self.cancel_on_created = True
        return []

    def _cancel_active(self) -> list[SendUpstream]:
        assert self.active_id is not None
        if self.active_id in self.cancelled:
            return []
        self.cancelled.add(self.active_id)
        return [SendUpstream(cancel_response(self.active_id, f"stop_{self.active_id}"[:64]), overtakes=True)]

    def refused(self, event_id: str, code: str, now_ms: int) -> bool:
        """An `error` event answered one of ours. True when it was the gate's and is dealt with."""
        if event_id.startswith("stop_"):
            return True  # a cancel that came too late is harmless
        if event_id != self.asked_event_id or self.phase not in (Phase.ASKED, Phase.ACTIVE):
            return False
        collided = code == "conversation_already_has_active_response" and self.collisions < MAX_COLLISIONS
        if self.phase is Phase.ACTIVE:  # the one that we collided with was told before the error
            self.wanted = self.wanted or collided
            self.failed = not collided
            return True
        self.phase = Phase.FREE
        stopped, self.cancel_on_created = self.cancel_on_created, False  # there is nothing to stop any more
        if collided:
            self.collisions += 1
            self.wanted = self.wanted or not stopped  # asked again when the other one is done
            self.phase, self.due_ms = Phase.EXPECTED, now_ms + REQUEST_DEADLINE_MS
        else:
            self.collisions = 0
            self.failed = not stopped and not self.wanted  # what waits is asked for now, and stands for both
        return True

    def deadline_ms(self) -> int | None:
        """When something is due here: a request is given up, or a wish may be asked for in a new minute."""
        if self.phase in (Phase.ASKED, Phase.EXPECTED):
            return self.due_ms
        waits = self.wanted and not self.held and not self.busy and self.funded()
        return self.starts_ms[0] + 60_000 if waits and len(self.starts_ms) >= self.per_minute else None

    def stuck(self, now_ms: int) -> list[SendUpstream]:
        """The running response says nothing any more: it is stopped, and what waits behind it is asked for."""
        waiting = self.wanted or self.owed
        stop = self.cancel()
        self.wanted = waiting
        return stop + self.expired(now_ms)

    def expired(self, now_ms: int) -> list[SendUpstream]:
        """The deadline passed: free again; a wish that still waits is asked for.

        So is an answer that the upstream should have begun by itself. One that was asked for in vain has failed.
        """
        asked, stopped = self.phase is Phase.ASKED, self.cancel_on_created
        self.phase, self.cancel_on_created, self.active_id = Phase.FREE, False, None
        self.wanted = self.wanted or self.owed
        self.failed = asked and not stopped and not self.wanted
        return self.advance(now_ms)

    def reset(self) -> None:
        """The upstream is gone: nothing runs any more. A wish stays, unless it was taken back."""
        self.wanted = self.wanted or (self.phase is Phase.ASKED and not self.cancel_on_created)
        self.phase, self.active_id, self.cancel_on_created, self.owed = Phase.FREE, None, False, False
        self.cancelled.clear()
