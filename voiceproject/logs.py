"""How log lines are written: one line each, as text or JSON, with whatever looks like a secret masked. Logs nothing."""

import json
import logging
import re
from datetime import UTC, datetime

MASK = "[masked]"
_SECRETS = re.compile(
    r"""
    \bsk-[A-Za-z0-9_-]{6,}                             # the provider's keys
    | \bek_[A-Za-z0-9_-]{6,}                           # its short-lived ones
    | (?<=bearer\ )\S+                                 # authorisation headers
    | \bt\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]+)*     # our session tokens, as subprotocols
    | \beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)+      # tokens in JSON web form, ours too
    | (?<=sessionid=)[^\s;'"]+ | (?<=csrftoken=)[^\s;'"]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Searches hold words of people, links of e-mails hold tokens.
_QUERY = re.compile(r"""((?:^|[\s"'(])(?:(?:https?|wss?)://[^\s?"']+|/[^\s?"']*))\?[^\s"']*""")
_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SESSION = re.compile(r"\bsession ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")


def masked(text: str) -> str:
    """The text without secrets and without the query strings of addresses."""
    return _QUERY.sub(r"\1", _SECRETS.sub(MASK, text))


class MaskingFilter(logging.Filter):
    """Masks the message before any handler formats it. Tracebacks are the formatters' part."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.msg, record.args = masked(record.getMessage()), ()
        return True


class LineFormatter(logging.Formatter):
    """`time level logger message`; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name} {message}", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """One line, whatever was logged: a line break in a name must not look like a second entry."""
        return _BREAKS.sub(" ", super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry, masked."""
        return masked(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, `session` when one is named, `error`, `where`."""

    def format(self, record: logging.LogRecord) -> str:
        """The whole entry, masked. Of an exception the type and the place, not its text."""
        message = masked(record.getMessage())
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if session := _SESSION.search(message):
            entry["session"] = session[1]
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = record.exc_info[0].__name__
            traceback = record.exc_info[2]
            while traceback is not None and traceback.tb_next is not None:
                traceback = traceback.tb_next
            if traceback is not None:
                entry["where"] = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        return json.dumps(entry, ensure_ascii=True)
