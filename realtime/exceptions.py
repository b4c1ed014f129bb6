"""The relay's errors, drawn as one tree. Each knows its code, its close code and one sentence for a person.

    RelayError
    ├── BrowserError            the page's fault: the connection ends
    │   ├── BadMessage          4400
    │   ├── TooLarge            4413
    │   └── TooFast             4429
    ├── Refused                 a mint or a token that is not granted; carries an HTTP status, nothing was opened
    └── UpstreamError           the other side's fault; `retryable` says whether trying again can help
        ├── UpstreamRefused     the handshake was answered with an HTTP status
        ├── UpstreamUnreachable name or network
        ├── UpstreamUntrusted   its certificate does not hold
        ├── UpstreamTimeout     no answer in time
        └── UpstreamLost        an open connection ended

Texts never quote what a peer sent: bodies can hold parts of keys, messages can hold speech.
"""

from __future__ import annotations


class RelayError(Exception):
    """The root: `code` is dotted and stable, `sentence` is for people, `close_code` for the browser's socket."""

    code = "internal"
    close_code = 4500
    sentence = "Something went wrong on our side. Your conversation is safe."
    retryable = False
    retry_after_s: float | None = None


class BrowserError(RelayError):
    """The page broke the protocol."""


class BadMessage(BrowserError):
    """Malformed, unknown or out of order; `reason` is made of our own words only, and told to who wrote the page."""

    code, close_code = "browser.bad_message", 4400
    sentence = "This page sent something the server does not understand. Reload it."

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class TooLarge(BrowserError):
    """A frame or message above its limit."""

    code, close_code = "browser.too_large", 4413
    sentence = "This message is too long."


class TooFast(BrowserError):
    """More messages or audio than the limits allow, for too long."""

    code, close_code = "browser.too_fast", 4429
    sentence = "Too many messages at once. Wait a moment, then start again."


class Refused(RelayError):
    """A session that is not granted. `status` is the HTTP status of the mint's answer."""

    def __init__(self, status: int, code: str, sentence: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class UpstreamError(RelayError):
    """The upstream failed."""

    code, close_code, retryable = "upstream.failed", 4502, True
    sentence = "The voice service dropped. Your conversation is safe."


class UpstreamRefused(UpstreamError):
    """The handshake was refused. Source of the meanings: the provider's documented handshake answers."""

    def __init__(self, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.retry_after_s = retry_after_s
        if status in (401, 403):
            self.code, self.retryable = "upstream.auth", False
            self.sentence = (
                "Voice is not available: the service refused the site's key. Ask the administrator."
            )
        elif status == 429:
            self.code, self.close_code = "upstream.rate_limited", 4429
            self.sentence = "The voice service is busy. Wait a moment, then start again."
        elif 300 <= status < 500:
            self.code, self.retryable = "upstream.config", False
            self.sentence = (
                "Voice is not available right now: the service does not know the configured model or address."
            )


class UpstreamUnreachable(UpstreamError):
    """No connection: name lookup, refused port, broken handshake."""

    code = "upstream.unreachable"
    sentence = "The voice service cannot be reached right now."


class UpstreamUntrusted(UpstreamError):
    """Its certificate is unknown, expired or for another host. There is no way around it, and no second try."""

    code, retryable = "upstream.untrusted", False
    sentence = (
        "Voice is not available right now: the service could not prove who it is. Ask the administrator."
    )


class UpstreamTimeout(UpstreamError):
    """Connected or not, no answer within the deadline."""

    code, close_code = "upstream.timeout", 4504
    sentence = "The voice service did not answer in time."


class UpstreamLost(UpstreamError):
    """An open connection ended; `close_code_seen` is the upstream's own, or None when the network dropped it."""

    code = "upstream.lost"

    def __init__(self, close_code_seen: int | None = None) -> None:
        super().__init__(f"close {close_code_seen}")
        self.close_code_seen = close_code_seen


# Upstream error codes (in `error` events and failed responses) that no retry can mend.
FATAL_UPSTREAM_CODES = frozenset(
    {
        "invalid_api_key",
        "insufficient_quota",
        "account_deactivated",
        "billing_hard_limit_reached",
        "beta_api_shape_disabled",
        "invalid_intent",
        "invalid_model",
        "model_not_found",
    }
)
AUTH_UPSTREAM_CODES = frozenset(
    {"invalid_api_key", "insufficient_quota", "account_deactivated", "billing_hard_limit_reached"}
)


def upstream_code_error(code: str) -> UpstreamError:
    """The error for a fatal upstream code."""
    return UpstreamRefused(401 if code in AUTH_UPSTREAM_CODES else 404)
