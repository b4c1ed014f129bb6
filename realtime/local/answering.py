"""Which responses run: creating, the one-at-a-time rule, cancelling, and pieces that responders hand in. Pure."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Literal

from realtime.local import rules
from realtime.local import session_config as sc
from realtime.local.client_items import item_from_client
from realtime.local.conversation import Item, text_tokens
from realtime.local.effects import AnswerRequest, Line, Respond, StopResponding
from realtime.local.errors import ProtocolError
from realtime.local.response import Response
from realtime.local.shared import Shared

_CACHE_BLOCK_TOKENS = 64  # cached input is counted in blocks
_CREATE = rules.record(
    {
        "instructions": rules.text(),
        "output_modalities": sc.output_modalities_rule,
        "tools": sc.tools_rule,
        "tool_choice": sc.tool_choice_rule,
        "parallel_tool_calls": rules.boolean,
        "reasoning": sc.reasoning_rule,
        "prompt": rules.nullable(rules.record({"id": rules.text()}, ("id",), open=True)),
        "max_output_tokens": sc.max_output_tokens_rule,
        "audio": rules.record(
            {"output": rules.record({"format": sc.output_format_rule, "voice": sc.voice_rule})}
        ),
        "conversation": rules.choice("auto", "none"),
        "input": rules.list_of(rules.anything),
        "metadata": rules.nullable(rules.record({}, open=True)),
    }
)
Prompt = Literal["user", "tool_output", "silence", "nothing"]


class Answering:
    """The responses of one session. At most one belongs to the conversation; others run out of band."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._running: dict[str, Response] = {}
        self._cached_tokens = 0
        self.last_done_ms: float | None = (
            None  # when the last answer of the conversation will have been played
        )

    @property
    def current(self) -> Response | None:
        """The running response of the conversation itself."""
        return next((response for response in self._running.values() if response.in_conversation), None)

    def create(self, params: Any = None, prompted_by: Prompt | None = None) -> None:
        """Begin a response or raise `ProtocolError`; it waits for the transcript of what was last said."""
        shared = self._shared
        params = {} if params is None else params
        _CREATE(params, "response")
        sc.check_modalities(params.get("output_modalities"), "response.output_modalities")
        _check_metadata(params.get("metadata"))
        in_conversation = params.get("conversation", "auto") == "auto"
        if in_conversation and (current := self.current):
            raise ProtocolError(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {current.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        custom = self._input_items(params["input"]) if "input" in params else None
        response = self._open(params, in_conversation, custom, prompted_by)
        self._running[response.id] = response
        self.last_done_ms = None
        waiting = shared.conversation.waiting_for_text() if custom is None else None
        if waiting is not None and shared.options.wait_for_transcript:
            response.waiting_for = waiting.id
        else:
            self._start(response)

    def interrupt(self) -> None:
        """The person began to speak: what is being answered in the conversation is cancelled."""
        if current := self.current:
            self._finish(current, "cancelled", {"type": "cancelled", "reason": "turn_detected"})

    def cancel(self, response_id: str | None) -> None:
        response = self._running.get(response_id) if response_id else self.current
        if response is None:
            raise ProtocolError(
                "response_cancel_not_active",
                "Cancellation failed: no active response found",
                "response_id" if response_id else None,
            )
        self._finish(response, "cancelled", {"type": "cancelled", "reason": "client_cancelled"})

    def transcript_ready(self, item_id: str) -> None:
        for response in list(self._running.values()):
            if response.waiting_for == item_id:
                response.waiting_for = None
                self._start(response)

    def text(self, response_id: str, text: str, phase: str, glued: bool) -> None:
        if response := self._running.get(response_id):
            response.add_text(text, phase, glued)
            self._stop_at_limit(response)

    def audio(self, response_id: str, audio: bytes) -> None:
        if response := self._running.get(response_id):
            response.add_audio(audio)
            self._shared.audio_was_produced = True
            self._stop_at_limit(response)

    def call(self, response_id: str, name: str, arguments: str) -> None:
        if response := self._running.get(response_id):
            response.add_call(name, arguments)

    def done(self, response_id: str) -> None:
        if response := self._running.get(response_id):
            self._finish(response, "completed", None)

    def incomplete(self, response_id: str, reason: str) -> None:
        if response := self._running.get(response_id):
            self._finish(response, "incomplete", {"type": "incomplete", "reason": reason})

    def failed(self, response_id: str, type: str, code: str, message: str) -> None:
        if response := self._running.get(response_id):
            error = {"type": type, "code": code, "message": message}
            self._finish(response, "failed", {"type": "failed", "error": error})

    def _open(
        self,
        params: dict[str, Any],
        in_conversation: bool,
        custom: list[Item] | None,
        prompted_by: Prompt | None,
    ) -> Response:
        shared = self._shared
        merged = {**shared.config, **params}
        output = {**shared.config["audio"]["output"], **params.get("audio", {}).get("output", {})}
        lines = shared.conversation.lines() if custom is None else _lines(custom)
        text, audio = (
            shared.conversation.tokens()
            if custom is None
            else (sum(text_tokens(line.text) for line in lines), 0)
        )
        text += text_tokens(merged["instructions"]) + sum(text_tokens(str(tool)) for tool in merged["tools"])
        request = AnswerRequest(
            response_id=shared.ids.new("resp"),
            lines=lines,
            instructions=merged["instructions"],
            tools=tuple(copy.deepcopy(merged["tools"])),
            tool_choice=merged["tool_choice"],
            speaks=merged["output_modalities"] == ["audio"],
            voice=sc.voice_name(output["voice"]),
            speed=output["speed"],
            format=sc.wire_format(output["format"]),
            turn_index=max(0, shared.conversation.user_turns - 1),
            prompted_by=prompted_by or _prompt(lines),
            metadata=params.get("metadata") or {},
        )
        cached, self._cached_tokens = (
            self._cached_tokens,
            (text + audio) // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS,
        )
        return Response(
            shared,
            request,
            in_conversation=in_conversation,
            max_output_tokens=merged["max_output_tokens"],
            input_tokens=(text, audio),
            cached_tokens=cached,
            output_format=output["format"],
            metadata=params.get("metadata"),
            from_conversation=custom is None,
        )

    def _input_items(self, entries: list[Any]) -> list[Item]:
        """The items of `response.input`: given in full, or references to items of the conversation."""
        shared, items = self._shared, []
        for index, entry in enumerate(entries):
            path = f"response.input[{index}]"
            if isinstance(entry, dict) and entry.get("type") == "item_reference":
                rules.record({"type": rules.text(), "id": rules.text()}, ("id",))(entry, path)
                item = shared.conversation.get(entry["id"])
                if item is None:
                    raise rules.bad_value(f"{path}.id", "the item was not found in the conversation.")
            else:
                item = item_from_client(
                    entry, path, shared.ids, sc.wire_format(shared.config["audio"]["input"]["format"])
                )
            items.append(item)
        return items

    def _start(self, response: Response) -> None:
        """Hand over to the responder, with the text that may have become known since the response was created."""
        if self._shared.options.wait_for_transcript and not response.started:
            fresh = self._shared.conversation.lines()
            if response.from_conversation and fresh != response.request.lines:
                response.request = _with_lines(response.request, fresh)
        response.started = True
        self._shared.outbox.push(Respond(response.request))

    def _stop_at_limit(self, response: Response) -> None:
        if response.is_over_limit:
            self.incomplete(response.id, "max_output_tokens")

    def _finish(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        del self._running[response.id]
        response.finish(status, details)
        if response.started:
            self._shared.outbox.push(StopResponding(response.id))
        if response.in_conversation:
            self.last_done_ms = self._shared.now_ms + response.audio_ms
        if status == "completed":
            self._report_rate_limits(response.usage()["total_tokens"])

    def _report_rate_limits(self, tokens: int) -> None:
        limit = self._shared.options.tokens_per_minute
        entry = {
            "name": "tokens",
            "limit": limit,
            "remaining": max(0, limit - tokens),
            "reset_seconds": round(60 * tokens / limit, 3),
        }
        self._shared.outbox.emit("rate_limits.updated", rate_limits=[entry])


def _check_metadata(metadata: dict[str, Any] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > 16:
        raise rules.bad_value("response.metadata", "expected at most 16 pairs.")
    for key, value in metadata.items():
        rules.text(64)(key, "response.metadata")
        rules.text(512)(value, f"response.metadata.{key[:64]}")


def _lines(items: list[Item]) -> tuple[Line, ...]:
    return tuple(line for item in items if (line := item.line()) is not None)


def _with_lines(request: AnswerRequest, lines: tuple[Line, ...]) -> AnswerRequest:
    return replace(
        request,
        lines=lines,
        prompted_by=request.prompted_by if request.prompted_by == "silence" else _prompt(lines),
    )


def _prompt(lines: tuple[Line, ...]) -> Prompt:
    for line in reversed(lines):
        if line.role == "user":
            return "user"
        if line.role == "tool_output":
            return "tool_output"
    return "nothing"
