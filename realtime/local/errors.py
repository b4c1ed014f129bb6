"""Errors that the local server answers with; holds their shape, not when they are raised."""

from __future__ import annotations


class ProtocolError(Exception):
    """A client event that is refused. Nothing of it has been applied; the session stays open.

    `code`, `message` and `param` go out as the fields of the `error` event, so the message must not
    contain anything that was said.
    """

    def __init__(
        self, code: str | None, message: str, param: str | None = None, type: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.type = type


class Overloaded(Exception):
    """The queue for recognition and speech is full; the work was not started."""


class EngineMissing(Exception):
    """A speech package is not installed; the text says which `pip install` fixes it."""


class BadOption(Exception):
    """Something that was set cannot be used (a turn, a fault, an address); the text says which and why."""


def error_block(error: ProtocolError, client_event_id: str | None = None) -> dict[str, str | None]:
    """The `error` field of an `error` event."""
    return {
        "type": error.type,
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "event_id": client_event_id,
    }
