#!/usr/bin/env python3
"""Switches off one control after another, and runs the tests that must notice. Long, because the list of them is.

    python scripts/mutants.py                 all of them
    python scripts/mutants.py --only breaker  those whose name or file contains the word
    python scripts/mutants.py --list

It works on a copy: the tree itself is never changed. Ends with 1 when a mutant survives, or when its text is no
longer in the code: a list that is out of date proves nothing.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300  # of one run; a mutant that hangs its test is noticed too
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "node_modules", "test-results", "__pycache__", ".*_cache", ".hypothesis"
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A control, where it is, what stands there without it, and the tests (pytest's own words) that must fail then."""

    name: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = "tests/faults/"
ABUSE = "tests/security/test_abuse.py"
HOLDS = "tests/security/test_holds.py"
ALLOWANCE = "tests/realtime/test_allowance.py"
WISHES = "tests/realtime/test_no_wish_is_lost.py"
MONEY = [
    Mutant(
        "no answer is asked for before it is reserved",
        "realtime/gate.py",
        " or not self.funded():",
        ":",
        f"{ALLOWANCE} -k waits_for_its",
    ),
    Mutant(
        "an answer without a reservation is stopped",
        "realtime/answers.py",
        "if not self.talk.allowance.began(response_id, now_ms):",
        "if not self.talk.allowance.began(response_id, now_ms) and False:",
        f"{ALLOWANCE} -k without_a_reservation",
    ),
    Mutant(
        "the upstream begins nothing by itself when there is no room",
        "realtime/session_life.py",
        "            self._tell_who_begins_answers()\n",
        "",
        f"{ALLOWANCE} -k by_itself",
    ),
    Mutant(
        "a call ends with the time that was reserved for it",
        "realtime/session_life.py",
        "if allowance.time_is_spent(self.now_ms) or",
        "if",
        f"{ALLOWANCE} -k ends_with_it",
    ),
    Mutant(
        "an answer that is cut off is charged",
        "realtime/session_life.py",
        "        self.answers.cut_off(self.now_ms)\n",
        "",
        f"{ALLOWANCE} -k 'cut_off and end'",
    ),
    Mutant(
        "what is held counts against a budget in money",
        "realtime/budgets.py",
        "        held = _held_usd(budget, wish.user_id, instead_of)\n",
        "        held = Decimal(0)\n",
        f"{HOLDS} -k 'has_room or at_once'",
    ),
    Mutant(
        "what is held counts against a budget of minutes",
        "realtime/budgets.py",
        "max(now, started_at + timedelta(seconds=held_s or 0)) if held else now",
        "now",
        "tests/security/test_budgets.py -k held_for_an_open",
    ),
    Mutant(
        "many calls at once stay within one budget",
        "realtime/holds.py",
        "            return Verdict.REFUSED\n        Hold.objects",
        "            pass\n        Hold.objects",
        f"{ABUSE} -k twenty",
    ),
    Mutant(
        "a hoarded token reserves when it is spent",
        "realtime/admission.py",
        "holds.open_with(session, config))",
        "True)",
        f"{HOLDS} -k leaves_neither",
    ),
    Mutant(
        "usage settles its hold",
        "realtime/ledger.py",
        "    holds.settle((session.pk, one.settles) for session, one in used)\n",
        "",
        f"{HOLDS} -k writing_it_twice",
    ),
    Mutant(
        "the end of a session gives back its holds",
        "realtime/services.py",
        "        holds.release([session.pk])  # its usage is stored by now\n",
        "",
        f"{HOLDS} -k no_others",
    ),
    Mutant(
        "a crash's holds are given back",
        "realtime/leases.py",
        "    holds.release_lost(now)\n",
        "",
        f"{HOLDS} -k crash",
    ),
    Mutant(
        "a budget in money needs known prices",
        "realtime/budgets.py",
        "        if wish.usd is None:",
        "        if wish.usd is None and False:",
        f"{HOLDS} -k 'unknown_price or know_its_prices'",
    ),
]
DOORS = [
    Mutant(
        "an account is deleted, or gets another address, with its password only",
        "voiceproject/forms.py",
        "        if not is_password_of(self.request, self.user, password):\n            raise forms.ValidationError(\n",
        "        if False:\n            raise forms.ValidationError(\n",
        "tests/test_accounts.py -k 'deleting_the_account or takes_the_password'",
    ),
    Mutant(
        "wrong passwords in forms count as at the login",
        "voiceproject/lockout.py",
        "found = authenticate(request, username=user.get_username(), password=password)",
        "found = user if user.check_password(password) else None",
        "tests/security/test_lockout.py -k LoggedIn",
    ),
    Mutant(
        "a body that is too large is told of in the shape of the API",
        "voiceproject/api_errors.py",
        "if not isinstance(error, SuspiciousOperation):",
        "if True:",
        "tests/security/test_odd_json.py -k own_shape",
    ),
    Mutant(
        "a body without end is not read",
        "voiceproject/body_limit.py",
        'return event if left >= 0 else {"type": "http.disconnect"}',
        "return event",
        "tests/security/test_large_bodies.py",
    ),
    Mutant(
        "a request that drips is dropped by uvicorn",
        "realtime/serve_uvicorn.py",
        "self._waiting = self.loop.call_later(REQUEST_WITHIN_S, _reset, self.transport)",
        "self._waiting = self.loop.call_later(3600, _reset, self.transport)",
        "tests/serve/test_slow_requests.py -k drips",
    ),
    Mutant(
        "a request that drips is dropped by daphne",
        "realtime/serve_daphne.py",
        "        if not self._has_begun:\n",
        "        if True:\n",
        "tests/serve/test_slow_requests.py -k drips",
    ),
    Mutant(
        "the totals are for those who may see usage",
        "realtime/operations/totals.py",
        'if not request.user.has_perm("realtime.view_usagerecord"):',
        "if False:",
        "tests/operations/test_totals.py -k may_see_usage",
    ),
    Mutant(
        "a day is summed up when it is over and not before",
        "realtime/usage_days.py",
        "return midnight(day + timedelta(days=1)) + GRACE <= now",
        "return midnight(day) <= now",
        "tests/operations/test_totals.py -k a_while_has_passed",
    ),
    Mutant(
        "JSON nested without end is bad JSON",
        "voiceproject/json_parser.py",
        "except RecursionError:",
        "except ZeroDivisionError:",
        "tests/security/test_odd_json.py -k nested",
    ),
    Mutant(
        "an address has so many sockets and no more",
        "realtime/doorkeeper.py",
        "if visitor.sockets >= self.max_sockets:",
        "if False:",
        "tests/security/test_doors.py -k all_sockets",
    ),
    Mutant(
        "an address knocks so often and no more",
        "realtime/doorkeeper.py",
        "if visitor.knocks < 1:",
        "if False:",
        "tests/security/test_doors.py -k without_end",
    ),
    Mutant(
        "only our own proxies say whose address it is",
        "realtime/doorkeeper.py",
        "if not proxies or not seen:",
        "if not seen:",
        "tests/realtime/test_doorkeeper.py -k own_proxies",
    ),
    Mutant(
        "the export of an account is noted",
        "voiceproject/account_api.py",
        "        audit.note(request, audit.Action.EXPORT_ACCOUNT)\n",
        "",
        "tests/security/test_audit.py -k export_of_an_account",
    ),
    Mutant(
        "the deletion of an account is noted",
        "voiceproject/admin.py",
        '        audit.note(request, audit.Action.DELETE_ACCOUNT, reason=f"account {obj.pk}")\n',
        "",
        "tests/security/test_audit.py -k staff_who",
    ),
    Mutant(
        "a session that the admin ends is hung up at once",
        "realtime/admin.py",
        "        transaction.on_commit(rights_changed)\n",
        "",
        "tests/security/test_revocation.py -k end_in_admin",
    ),
    Mutant(
        "without space no session begins",
        "realtime/admission.py",
        "        _check_space()\n",
        "",
        "tests/realtime/test_mint.py -k without_space",
    ),
    Mutant(
        "tools go so many rounds and no more",
        "realtime/answers.py",
        "if talk.tool_rounds <= MAX_TOOL_ROUNDS:",
        "if True:",
        "tests/security/test_injected_instructions.py -k nested",
    ),
    Mutant(
        "a tool gets no argument that it does not know",
        "realtime/tools.py",
        ' if key in tool.parameters["properties"]}',
        "}",
        "tests/security/test_injected_instructions.py -k changes_whose",
    ),
    Mutant(
        "a mint that is not JSON has the mint's shape",
        "realtime/api/views.py",
        "        if isinstance(exc, ParseError):",
        "        if False:",
        "tests/security/test_api_by_its_schema.py -k as_its_schema",
    ),
    Mutant(
        "no cell of the CSV is a formula",
        "realtime/ledger.py",
        """f"'{value}" if isinstance(value, str)""",
        """value if isinstance(value, str)""",
        "tests/operations/test_ledger.py -k formula",
    ),
]
THREATS = [
    Mutant(
        "what the admin hides is not asked for by its lists",
        "conversations/admin.py",
        "return name not in self.hidden and super()",
        "return super()",
        "tests/security/test_admin_lookups.py",
    ),
    Mutant(
        "rights that were lost before the relay was there end it",
        "realtime/switchboard.py",
        '        self._own(self._first_look(relay), f"first look at {opening.session_id}")\n',
        "",
        "tests/security/test_revocation.py -k between_the_token",
    ),
    Mutant(
        "logging out ends the sessions of the login",
        "realtime/revocation.py",
        "    if user is not None and key:\n",
        "    if False:\n",
        "tests/security/test_revocation.py -k 'at_once_with and log_out'",
    ),
    Mutant(
        "a session ends with the login that began it",
        "realtime/leases.py",
        "elif row.login_key and row.login_key not in logins:",
        "elif False:",
        "tests/security/test_revocation.py -k login_that",
    ),
    Mutant(
        "a token of a login opens nothing without its cookie",
        "realtime/admission.py",
        "elif access.login_mark(login_key) != token.login or not access.live_logins({login_key}):",
        "elif False:",
        "tests/security/test_revocation.py -k opens_nothing",
    ),
    Mutant(
        "a token opens once",
        "realtime/admission.py",
        "            UsedToken.objects.create(jti=token.jti, session_id=token.session_uuid)\n",
        "",
        "tests/security/test_handshakes.py -k replays tests/realtime/test_tokens.py",
    ),
    Mutant(
        "a token is for this purpose",
        "realtime/tokens.py",
        "if token.aud != AUDIENCE:",
        "if False:",
        "tests/security/test_handshakes.py -k no_right",
    ),
    Mutant(
        "a token ends with the password",
        "realtime/admission.py",
        "if user is None or access.auth_fingerprint(user) != token.auth_hash:",
        "if user is None:",
        "tests/security/test_handshakes.py -k no_right",
    ),
    Mutant(
        "two origins are none",
        "realtime/consumers.py",
        "    if len(values) > 1:\n",
        "    if False:\n",
        "tests/realtime/test_tokens.py -k more_than_once",
    ),
    Mutant(
        "a request that the library cannot read is answered",
        "realtime/serve_uvicorn.py",
        "                self._refuse()\n",
        "                pass\n",
        "tests/serve/test_origins.py -k uvicorn",
    ),
    Mutant(
        "a request that daphne's library refuses is no traceback",
        "realtime/serve_daphne.py",
        '        if not hasattr(self, "server"):',
        "        if False:",
        "tests/serve/test_origins.py -k daphne",
    ),
    Mutant(
        "a mint by cookie needs the site's own origin",
        "realtime/api/views.py",
        "if origin != own and origin not in settings.ALLOWED_ORIGINS:",
        "if False:",
        "tests/realtime/test_mint.py -k own_origin",
    ),
    Mutant(
        "refresh tokens are good once",
        "voiceproject/settings.py",
        '    "BLACKLIST_AFTER_ROTATION": True,',
        '    "BLACKLIST_AFTER_ROTATION": False,',
        "tests/security/test_tokens_of_programs.py -k good_once",
    ),
    Mutant(
        "access tokens end with the password",
        "voiceproject/settings.py",
        '    "CHECK_REVOKE_TOKEN": True,',
        '    "CHECK_REVOKE_TOKEN": False,',
        "tests/security/test_tokens_of_programs.py -k access_tokens_end",
    ),
    Mutant(
        "refresh tokens end with the password",
        "voiceproject/account_api.py",
        "if user is None or mark != get_md5_hash_password(user.password):",
        "if user is None:",
        "tests/security/test_tokens_of_programs.py -k new_password",
    ),
    Mutant(
        "tokens of programs have a key of their own",
        "voiceproject/settings.py",
        '    or salted_hmac("voiceproject.jwt", "key", secret=SECRET_KEY or "-").hexdigest(),',
        "    or SECRET_KEY,",
        "tests/security/test_tokens_of_programs.py -k another_key",
    ),
    Mutant(
        "wrong passwords are counted at /api/token/",
        "voiceproject/account_api.py",
        "if isinstance(username, str) and locked_out(request._request, username):",
        "if False:",
        "tests/security/test_lockout.py -k 'compared and at_token'",
    ),
    Mutant(
        "only our own proxies say from where passwords are tried",
        "realtime/doorkeeper.py",
        "return seen[-min(proxies, len(seen))]",
        "return seen[0]",
        "tests/security/test_lockout.py -k 'does_not_help and at_token'",
    ),
    Mutant(
        "conversations are their owner's",
        "conversations/models.py",
        "return self.filter(owner=user, deleted_at=None)",
        "return self.filter(deleted_at=None)",
        "tests/security/test_ownership_of_everything.py -k 404",
    ),
    Mutant(
        "a page has a vocabulary of its own",
        "realtime/browser_events.py",
        "if not value.keys() <= known.keys():",
        "if False:",
        "tests/security/test_odd_browser.py -k does_not_have",
    ),
    Mutant(
        "what a page says of itself is such as databases keep",
        "realtime/browser_events.py",
        "(isinstance(fact, int | float) and abs(fact) <= MOST)",
        "isinstance(fact, int | float)",
        "tests/realtime/test_browser_events.py -k every_database",
    ),
    Mutant(
        "an error of the upstream is kept by a word or not at all",
        "realtime/upstream_events.py",
        "return value if isinstance(value, str) and WORD.fullmatch(value) else None",
        "return value if isinstance(value, str) and 0 < len(value) <= 80 else None",
        "tests/security/test_odd_upstream.py -k word_that_is_none",
    ),
    Mutant(
        "the end of an answer is one of those that we know",
        "realtime/answers.py",
        "        if status not in ANSWER_ENDS:\n",
        "        if False:\n",
        "tests/security/test_odd_upstream.py -k word_that_is_none",
    ),
    Mutant(
        "a page is told nothing of an error's text",
        "realtime/session_upstream.py",
        '        self._event("upstream.error", code=code)\n',
        '        self._event("upstream.error", code=code, message=error.get("message"))\n',
        "tests/security/test_what_pages_see.py -k error",
    ),
    Mutant(
        "the upstream's address is plain",
        "realtime/checks.py",
        "    return found.is_loopback or not barred\n",
        "    return True\n",
        "tests/security/test_upstream_address.py",
    ),
    Mutant(
        "HTML in Markdown is text",
        "conversations/markdown.py",
        '{"html": False, "linkify": False, "breaks": True}',
        '{"html": True, "linkify": False, "breaks": True}',
        "tests/security/test_markup.py -k holds_alone",
    ),
    Mutant(
        "Markdown passes an allowlist",
        "conversations/markdown.py",
        "        _renderer.render(text),\n        tags=_TAGS,",
        "        _renderer.render(text),\n        tags=_TAGS | {'img', 'iframe'},",
        "tests/security/test_markup.py -k holds_alone",
    ),
    Mutant(
        "speech is escaped",
        "conversations/api/serializers.py",
        "        if message.role != Message.Role.ASSISTANT:\n            return plain_html(message.text)",
        "        if message.role != Message.Role.ASSISTANT:\n            return SafeString(message.text)",
        "tests/security/test_markup.py -k 'api and img'",
    ),
    Mutant(
        "log lines are masked",
        "voiceproject/logs.py",
        'return _QUERY.sub(r"\\1", _SECRETS.sub(MASK, text))',
        "return text",
        "tests/security/test_canary.py -k 'masked or query'",
    ),
    Mutant(
        "a line of the log stays one",
        "voiceproject/logs.py",
        '        return _BREAKS.sub(" ", super().formatMessage(record))',
        "        return super().formatMessage(record)",
        "tests/security/test_canary.py -k line_break",
    ),
    Mutant(
        "content is for who has the permission",
        "conversations/admin.py",
        "        if not may_read(request):\n            raise PermissionDenied\n",
        "",
        "tests/security/test_content_for_staff.py -k 'without_the_permission or every_permission'",
    ),
    Mutant(
        "reading is noted",
        "conversations/admin.py",
        '            audit.content_viewed(request, conversation, form.cleaned_data["reason"])\n',
        "",
        "tests/security/test_content_for_staff.py -k each_look",
    ),
    Mutant(
        "staff set nobody's password",
        "voiceproject/admin.py",
        "        if not request.user.is_superuser:\n            raise PermissionDenied\n",
        "",
        "tests/security/test_rights_of_staff.py -k password",
    ),
    Mutant(
        "staff give no rights",
        "voiceproject/admin.py",
        "return own if request.user.is_superuser or obj is None else (*own, *OF_SUPERUSERS)",
        "return own",
        "tests/security/test_rights_of_staff.py -k neither_rights",
    ),
    Mutant(
        "staff do not change staff",
        "voiceproject/admin.py",
        "return bool(request.user.is_superuser) or person is None or not (person.is_staff or person.is_superuser)",
        "return True",
        "tests/security/test_rights_of_staff.py -k other_staff",
    ),
    Mutant(
        "forms without a login have a pace",
        "voiceproject/pace.py",
        "return bool(cache.incr(key) > settings.FORMS_PER_HOUR)",
        "return False",
        "tests/security/test_pace_of_forms.py",
    ),
    Mutant(
        "messages of a page have a pace",
        "realtime/session.py",
        "        if not budget.take(1, now_ms):\n",
        "        if False:\n",
        "tests/security/test_floods.py -k fifty_thousand tests/realtime/test_session_limits.py",
    ),
    Mutant(
        "frames are checked to the byte",
        "realtime/browser_events.py",
        "    if len(pcm) > MAX_FRAME_BYTES:\n",
        "    if False:\n",
        "tests/realtime/test_browser_events.py -k frames",
    ),
    Mutant(
        "calls of a person are so many and no more",
        "realtime/admission.py",
        "    if live.filter(user=user).count() >= settings.REALTIME_MAX_SESSIONS_PER_USER:\n",
        "    if False:\n",
        "tests/security/test_handshakes.py -k five_hundred",
    ),
    Mutant(
        "mints have a pace",
        "realtime/api/views.py",
        "    throttle_classes = [MintThrottle]\n",
        "",
        "tests/realtime/test_mint.py -k pace",
    ),
    Mutant(
        "an upstream has a pace",
        "realtime/session.py",
        "now_ms):\n            return self._upstream_too_fast()\n        before",
        "now_ms):\n            pass\n        before",
        "tests/security/test_odd_upstream.py -k flood",
    ),
    Mutant(
        "an answer has a longest speech",
        "realtime/answers.py",
        "too_long = made_ms > self.talk.config.max_answer_audio_ms",
        "too_long = False",
        "tests/security/test_odd_upstream.py -k far_too_long",
    ),
    Mutant(
        "unknown kinds fill no memory",
        "realtime/session.py",
        "len(self.ignored) < MAX_IGNORED_TYPES",
        "True",
        "tests/security/test_odd_upstream.py -k fill_no_memory",
    ),
    Mutant(
        "the mint is kept by no cache",
        "realtime/api/views.py",
        '"Cache-Control": "no-store", **(headers or {})',
        "**(headers or {})",
        "tests/realtime/test_mint.py -k 'no_cache or never_the_key'",
    ),
    Mutant(
        "no inline script is allowed",
        "voiceproject/settings.py",
        """        "script-src": ["'self'"],""",
        """        "script-src": ["'self'", "'unsafe-inline'"],""",
        "tests/security/test_production.py -k observatory",
    ),
    Mutant(
        "cookies are bound to the host",
        "voiceproject/settings.py",
        '"__Host-sessionid", "__Host-csrftoken"',
        '"sessionid", "csrftoken"',
        "tests/security/test_production.py -k cookies",
    ),
    Mutant(
        "a production site has a key of its own",
        "voiceproject/checks.py",
        "    if key == settings.DEV_SECRET_KEY:\n",
        "    if False:\n",
        "tests/security/test_production.py -k 'not_start_with and SECRET_KEY or development'",
    ),
    Mutant(
        "deleting an account deletes what libraries keep",
        "voiceproject/account.py",
        "    refreshes, _by_model = OutstandingToken.objects.filter(user=user).delete()\n",
        "    refreshes = 0\n",
        "tests/security/test_retention.py -k no_text_column",
    ),
    Mutant(
        "what is too old goes",
        "voiceproject/retention.py",
        "settings.RETENTION_DAYS",
        "36_500",
        "tests/security/test_retention.py -k so_long",
    ),
    Mutant(
        "what is deleted is overwritten",
        "voiceproject/settings.py",
        "PRAGMA secure_delete=ON;",
        "PRAGMA secure_delete=OFF;",
        "tests/security/test_retention.py -k files_of",
    ),
    Mutant(
        "the log of writes is emptied",
        "voiceproject/retention.py",
        "    empty_log()\n    return counts",
        "    return counts",
        "tests/security/test_retention.py -k files_of",
    ),
    Mutant(
        "no cache keeps an answer to a login",
        "voiceproject/headers.py",
        "        if session is not None and session.accessed:\n",
        "        if False:\n",
        "tests/security/test_ownership_of_everything.py -k no_cache",
    ),
    Mutant(
        "a production site prints no mails",
        "voiceproject/settings.py",
        "'console' if DEBUG else 'dummy'",
        "'console'",
        "tests/security/test_production.py -k way_to_a_new",
    ),
    Mutant(
        "a form with a wrong password is not kept",
        "voiceproject/logins.py",
        '    instance.get_data = instance.post_data = ""\n',
        "    pass\n",
        "tests/security/test_lockout.py -k nothing_is_kept",
    ),
    Mutant(
        "a login that failed is in the log",
        "voiceproject/logins.py",
        '    logger.warning("a login failed from %s", _where(request))\n',
        "",
        "tests/security/test_audit.py -k 'afterwards or typed'",
    ),
]
KEEPING = "tests/realtime/test_keeping.py"
RECORDINGS = [
    Mutant(
        "audio is kept only of those who chose it",
        "realtime/keeping.py",
        "self.audio = level == AUDIO and self.may_record",
        "self.audio = self.may_record",
        f"{KEEPING} -k without_consent",
    ),
    Mutant(
        "a site that keeps no audio keeps none",
        "realtime/keeping.py",
        "self.audio = level == AUDIO and self.may_record",
        "self.audio = level == AUDIO",
        f"{KEEPING} -k text_session",
    ),
    Mutant(
        "a stored choice never gives consent",
        "realtime/session_life.py",
        "if self.phase != ENDED and LEVELS.index(level) < LEVELS.index(self.talk.keeping.level):",
        "if self.phase != ENDED:",
        f"{KEEPING} -k takes_away",
    ),
    Mutant(
        "what is not to be kept is no record",
        "realtime/session_life.py",
        "if unkept := self.talk.transcript.unkept:",
        "if unkept := set():",
        f"{KEEPING} -k finished_under_it",
    ),
    Mutant(
        "after a clear only what was played is kept",
        "realtime/playout.py",
        "item.tail, item.tail_from = item.slice(item.heard, item.sent), item.heard",
        "pass",
        f"{KEEPING} -k after_a_clear",
    ),
    Mutant(
        "kept audio is its owner's alone",
        "realtime/recordings.py",
        "Recording.objects.filter(conversation__owner=user, conversation__deleted_at=None)",
        "Recording.objects.all()",
        "tests/security/test_ownership_of_everything.py -k audio",
    ),
    Mutant(
        "the file goes with its row",
        "realtime/recordings.py",
        "transaction.on_commit(partial(storage().delete, instance.file))",
        "pass",
        "tests/realtime/test_kept_audio_api.py -k TestGone",
    ),
    Mutant(
        "a recording leaves room on the disk",
        "realtime/recorder.py",
        'why = "the disk is nearly full"',
        "pass",
        "tests/realtime/test_recording.py -k nearly_full",
    ),
    Mutant(
        "an address of kept audio is for who gave the reason",
        "realtime/operations/listening.py",
        'if granted["user"] != request.user.pk:',
        "if False:",
        "tests/operations/test_listening.py -k who_gave",
    ),
    Mutant(
        "listening is noted",
        "realtime/operations/listening.py",
        'audit.content_heard(request, recording.conversation_id, form.cleaned_data["reason"])',
        "pass",
        "tests/operations/test_listening.py -k each_look",
    ),
]
CHOSEN = "tests/realtime/test_chosen_settings.py"
SAMPLES = "tests/realtime/test_voice_samples.py"
CHOICES = [
    Mutant(
        "one's own turn detection stays within bounds",
        "conversations/api/serializers.py",
        "        numbers.is_valid(raise_exception=True)\n        return dict(numbers.validated_data)",
        "        return dict(value)",
        "tests/conversations/test_api.py -k not_on_the_list",
    ),
    Mutant(
        "one's own numbers reach the upstream",
        "realtime/conf.py",
        'if preset == "custom" and custom and block is not None:',
        "if False:",
        f"{CHOSEN} -k numbers_noise",
    ),
    Mutant(
        "where the site wants push-to-talk nobody else decides",
        "realtime/conf.py",
        'if preset == "custom" and custom and block is not None:',
        'if preset == "custom" and custom:',
        f"{CHOSEN} -k nobody_has_numbers",
    ),
    Mutant(
        "nobody keeps a silent call longer than the site does",
        "realtime/conf.py",
        "min(end_after_sec or settings.REALTIME_IDLE_SEC, settings.REALTIME_IDLE_SEC)",
        "end_after_sec or settings.REALTIME_IDLE_SEC",
        f"{CHOSEN} -k never_later",
    ),
    Mutant(
        "a voice that gave no sample is left alone for a while",
        "realtime/voice_samples.py",
        "if time.monotonic() - _failed_at.get(path, -REST_S) < REST_S:",
        "if False:",
        f"{SAMPLES} -k not_asked_at_once",
    ),
    Mutant(
        "samples are for those who are logged in",
        "realtime/api/voice_samples.py",
        "if not user.is_authenticated:",
        "if False:",
        f"{SAMPLES} -k logged_in",
    ),
    Mutant(
        "a sample that is being made is not made twice",
        "realtime/voice_samples.py",
        "async with _making.setdefault(path, asyncio.Lock()):",
        "async with asyncio.Lock():",
        f"{SAMPLES} -k being_made",
    ),
]
MUTANTS = [
    *CHOICES,
    *RECORDINGS,
    *MONEY,
    *DOORS,
    *THREATS,
    Mutant(
        "the last part of a minute is in the ledger",
        "realtime/session_life.py",
        "self._keep_minutes(last=True)",
        "self._keep_minutes()",
        "tests/operations/test_ledger.py -k blocks",
    ),
    Mutant(
        "within a message in parts no other message is heard",
        "realtime/frames.py",
        " and not self._fragments",
        "",
        "tests/realtime/test_frames.py -k within_another",
    ),
    Mutant(
        "a frame that is too long is not waited for",
        "realtime/frames.py",
        "if length > self._max_bytes:",
        "if False:",
        "tests/realtime/test_frames.py -k too_long",
    ),
    Mutant(
        "a usage row is written once",
        "realtime/ledger.py",
        "        if key in kept:\n",
        "        if False:\n",
        "tests/operations/test_ledger.py -k comes_twice",
    ),
    Mutant(
        "a page cannot put the moment of the first sample before the sample was made",
        "realtime/latency.py",
        "self.first_heard_ms = max(self.first_delta_ms, at_ms)",
        "self.first_heard_ms = at_ms",
        "tests/realtime/test_latency.py",
    ),
    Mutant(
        "a page cannot put the moment of the first sample far ahead",
        "realtime/latency.py",
        "min(at_ms, now_ms + MOST_AHEAD_MS)",
        "at_ms",
        "tests/realtime/test_latency.py",
    ),
    Mutant(
        "nothing of OpenTelemetry is imported without an address",
        "realtime/services.py",
        "if settings.OTEL_EXPORTER_OTLP_ENDPOINT:",
        "if True:",
        "tests/operations/test_traces.py -k imports_nothing",
    ),
    Mutant(
        "an error code in a trace is one of those that are known",
        "realtime/metrics.py",
        'return code if code in KNOWN_CODES else "other"',
        "return code",
        "tests/operations/test_traces.py -k no_content",
    ),
    Mutant(
        "a session's end is stored whatever becomes of its trace",
        "realtime/traces.py",
        "except Exception as error:",
        "except KeyError as error:",
        "tests/operations/test_traces.py -k exporter_that_fails",
    ),
    Mutant(
        "short of memory no session is granted",
        "realtime/admission.py",
        "        _check_memory()\n        conversation =",
        "        conversation =",
        "tests/realtime/test_memory.py -k short_of_memory",
    ),
    Mutant(
        "short of memory no session is opened",
        "realtime/admission.py",
        "        _check_memory()  # again: another process may have granted the token",
        "        pass",
        "tests/realtime/test_memory.py -k short_of_memory",
    ),
    Mutant(
        "typed sessions have a limit of their own",
        "realtime/admission.py",
        "        if live.filter(user=user).count() >= settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER:",
        "        if False:",
        "tests/realtime/test_mint.py -k typed_sessions",
    ),
    Mutant(
        "an item that was cut while its page was away is cleared again",
        "realtime/session.py",
        '            self.turns.came_back(received["item_id"])',
        "            pass",
        "tests/realtime/test_cut_while_away.py -k comes_back",
    ),
    Mutant(
        "a late word of the page corrects our estimate",
        "realtime/turns.py",
        "                self.guessed[item_id] = audio",
        "                pass",
        "tests/realtime/test_cut_while_away.py -k meanwhile",
    ),
    Mutant(
        "an answer that was refused is told",
        "realtime/gate.py",
        "            self.failed = not stopped and not self.wanted",
        "            self.failed = False",
        f"{WISHES} -k upstream_refuses",
    ),
    Mutant(
        "an answer that never begins is told",
        "realtime/gate.py",
        "        self.failed = asked and not stopped and not self.wanted",
        "        self.failed = False",
        f"{WISHES} -k never_begins",
    ),
    Mutant(
        "what waits is asked for after a refusal",
        "realtime/session_upstream.py",
        "        if self.phase == READY:\n            self.out += gate.advance(self.now_ms)",
        "",
        f"{WISHES} -k typed_behind",
    ),
    Mutant(
        "the next minute's answers are looked for",
        "realtime/gate.py",
        "        return self.starts_ms[0] + 60_000 if waits",
        "        return None if waits",
        f"{WISHES} -k by_itself",
    ),
    Mutant(
        "a turn spoken into an answer is owed one",
        "realtime/gate.py",
        "        if self.owed and not self.busy:",
        "        if False:",
        f"{WISHES} -k spoken_into",
    ),
    Mutant(
        "a page that comes back asks a ready upstream only",
        "realtime/session.py",
        "        if self.phase == READY:  # before, it would be lost with what waits for the last upstream\n",
        "        if True:\n",
        f"{WISHES} -k upstream_is_away",
    ),
    Mutant(
        "a given up connection is not heard",
        "realtime/session.py",
        "        if self.phase not in (CONFIGURING, READY):",
        "        if self.phase == ENDED:",
        f"{WISHES} -k lost_upstream_still",
    ),
    Mutant(
        "an answer waits for the one that called its functions",
        "realtime/answers.py",
        "if talk.tools_running or calling or",
        "if talk.tools_running or",
        f"{WISHES} -k waits_for_all",
    ),
    Mutant(
        "speech gives up the answer to a function",
        "realtime/answers.py",
        "        if talk.tools_abandoned:",
        "        if False:",
        f"{WISHES} -k person_spoke",
    ),
    Mutant(
        "no upstream is replaced while a function runs",
        "realtime/session_upstream.py",
        " and not waits",
        " ",
        f"{WISHES} -k is_to_come",
    ),
    Mutant(
        "a refused change is taken back",
        "realtime/session_life.py",
        "        elif before is not ALREADY:\n            self.talk.turn_detection = before\n",
        "",
        f"{WISHES} -k this_one_refused",
    ),
    Mutant(
        "a commit without a confirmation is repeated",
        "realtime/session_upstream.py",
        "self.pending_commit or self.commit_open, False",
        "self.pending_commit, False",
        f"{WISHES} -k did_not_confirm",
    ),
    Mutant(
        "a turn too short for the provider is not sent",
        "realtime/session_upstream.py",
        "        if self.intake.unsettled_ms < MIN_COMMIT_MS:",
        "        if False:",
        f"{WISHES} -k only_touched",
    ),
    Mutant(
        "saved means what is stored",
        "realtime/talk.py",
        "status=item.stored_status,",
        "status=item.status,",
        f"{WISHES} -k called_saved",
    ),
    Mutant(
        "a session that is over takes no page",
        "realtime/switchboard.py",
        "if relay is None or relay.finished.is_set():",
        "if relay is None:",
        "tests/realtime/test_resume.py -k hangs_up",
    ),
    Mutant(
        "a session that cannot be told does not stop the journal",
        "realtime/journal.py",
        "                except Exception as error:  # of one session",
        "                except KeyError as error:  # of one session",
        "tests/realtime/test_journal.py -k cannot_be_told",
    ),
    Mutant(
        "a wish that met another response waits for its end",
        "realtime/gate.py",
        "            self.wanted = self.wanted or collided\n",
        "",
        "tests/realtime/test_gate.py -k upstreams_own",
    ),
    Mutant(
        "a token is bound to its origin",
        "realtime/admission.py",
        "if token.origin != origin:",
        "if False:",
        "tests/realtime/test_tokens.py tests/realtime/test_mint.py",
    ),
    Mutant(
        "a token expires",
        "realtime/tokens.py",
        "if now_s >= token.exp:",
        "if False:",
        f"{FAULTS}test_surroundings.py -k expires_before",
    ),
    Mutant(
        "a token is not from the future",
        "realtime/tokens.py",
        "if token.iat > now_s + MAX_SKEW_S:",
        "if False:",
        f"{FAULTS}test_surroundings.py -k future",
    ),
    Mutant(
        "a clock that was put ends nobody",
        "realtime/switchboard.py",
        "if not self._clock.look(now.timestamp(), time.monotonic(), settings.REALTIME_LEASE_SEC):",
        "if False:",
        f"{FAULTS}test_surroundings.py -k clock_that_jumps",
    ),
    Mutant(
        "sessions are counted again under a lock",
        "realtime/admission.py",
        "            _check_limits(user, conversation, token.modality)\n",
        "",
        "tests/realtime/test_several_processes.py -k many_tokens",
    ),
    Mutant(
        "a new tab ends the session of another process",
        "realtime/admission.py",
        'close_session(session_id=other, reason="superseded", counters={})',
        "pass",
        "tests/realtime/test_several_processes.py -k new_tab",
    ),
    Mutant(
        "a session whose process is gone is given up",
        "realtime/consumers.py",
        "            if refused.code != GONE:",
        "            if True:",
        "tests/realtime/test_several_processes.py -k process_is_gone",
    ),
    Mutant(
        "a page that a restart turned away before it began is no page that left",
        "realtime/consumers.py",
        '"draining" if get_switchboard().draining else never_began',
        "never_began",
        "tests/realtime/test_not_begun.py",
    ),
    Mutant(
        "the own process of a call that did not begin knows better than a guess",
        "realtime/services.py",
        "        _correct_a_guess(session_id, reason)\n        close_session(",
        "        close_session(",
        "tests/realtime/test_several_processes.py -k could_not_begin",
    ),
    Mutant(
        "the own process of a call knows better than a guess",
        "realtime/services.py",
        "        _correct_a_guess(session_id, reason)\n    if",
        "    if",
        "tests/realtime/test_several_processes.py -k knows_better",
    ),
    Mutant(
        "a session that ended here is left to its own process",
        "realtime/ownership.py",
        "filter(pk=session_id).exclude(worker=worker)",
        "filter(pk=session_id)",
        "tests/realtime/test_several_processes.py -k gives_up_a_session_of_its_own",
    ),
    Mutant(
        "the address is that of the token's session",
        "realtime/admission.py",
        "if session_id is not None and session_id != token.session_uuid:",
        "if False:",
        "tests/realtime/test_several_processes.py -k address_of_another",
    ),
    Mutant(
        "processes tell each other",
        "realtime/neighbours.py",
        'if message.get("from") != name:',
        "if False:",
        "tests/realtime/test_several_processes.py -k when_it_says_so",
    ),
    Mutant(
        "certificates are verified",
        "realtime/upstream.py",
        "        proxy=None,\n",
        "        proxy=None,\n"
        '        ssl=ssl._create_unverified_context() if config.upstream_url.startswith("wss") else None,\n',
        f"{FAULTS}test_unreachable.py -k does_not_hold",
    ),
    Mutant(
        "no redirect is followed",
        "realtime/upstream.py",
        "        return exc\n",
        "        return super().process_redirect(exc)\n",
        f"{FAULTS}test_refusals.py -k redirect",
    ),
    Mutant(
        "speech that waits for an upstream has a bound",
        "realtime/intake.py",
        "        while self._held_bytes > self.held_ms * BYTES_PER_MS:",
        "        while False:",
        f"{FAULTS}test_memory.py -k has_a_bound",
    ),
    Mutant(
        "the breaker opens",
        "realtime/breaker.py",
        "        self.error = error\n",
        "        self.error = None\n",
        f"{FAULTS}test_refusals.py -k refused_key",
    ),
    Mutant(
        "what no retry mends opens the breaker at once",
        "realtime/breaker.py",
        "        if not error.retryable:\n",
        "        if isinstance(error, UpstreamRefused) and error.status in (401, 403):\n",
        f"{FAULTS}test_refusals.py -k unknown_model",
    ),
    Mutant(
        "the breaker closes again",
        "realtime/breaker.py",
        "        if now_s >= self.next_probe_s:",
        "        if False:",
        f"{FAULTS}test_refusals.py -k left_alone",
    ),
    Mutant(
        "Retry-After is waited for",
        "realtime/redial.py",
        "return int(wait_s * 1000)",
        "return 0",
        f"{FAULTS}test_refusals.py -k after_the_time",
    ),
    Mutant(
        "a refusal that is final is not tried again",
        "realtime/redial.py",
        "        if not error.retryable:\n            return None\n",
        "",
        f"{FAULTS}test_refusals.py -k unknown_model",
    ),
    Mutant(
        "the first connection has a deadline",
        "realtime/session.py",
        '            self._arm("connect", self.config.connect_deadline_ms)\n',
        "",
        f"{FAULTS}test_unreachable.py -k says_nothing",
    ),
    Mutant(
        "the configuration has a deadline",
        "realtime/session.py",
        'elif name == "configure":',
        'elif name == "never":',
        f"{FAULTS}test_unreachable.py -k never_takes",
    ),
    Mutant(
        "what a refusal says is read by nobody",
        "realtime/upstream.py",
        "    if isinstance(error, InvalidStatus):\n",
        "    if isinstance(error, InvalidStatus):\n"
        "        __import__('logging').getLogger('realtime.upstream').info('%s', error.response.body)\n",
        f"{FAULTS}test_refusals.py -k quotes",
    ),
    Mutant(
        "usage is what the upstream counted",
        "realtime/answers.py",
        "                text_in=text_in,\n",
        "                text_in=text_in + 1,\n",
        f"{FAULTS}test_bad_cable.py -k one_by_one",
    ),
    Mutant(
        "only what was played is progress",
        "realtime/session.py",
        "        if self.talk.playout.played > before:\n",
        "        if True:\n",
        "tests/realtime/test_session_limits.py -k 'again_and_again or not_played'",
    ),
    Mutant(
        "what an answer without a word was for is not answered",
        "realtime/session.py",
        "if in_vain and not waits:",
        "if False:",
        "tests/realtime/test_session_limits.py -k never_says_a_word",
    ),
    Mutant(
        "what waits behind an answer without a word is not given up",
        "realtime/session.py",
        "if in_vain and not waits:",
        "if in_vain:",
        "tests/realtime/test_session_limits.py -k behind_an_answer",
    ),
    Mutant(
        "the upstream is pinged",
        "realtime/upstream.py",
        "ping_interval=PING_INTERVAL_S,",
        "ping_interval=None,",
        f"{FAULTS}test_lost_upstream.py -k pings",
    ),
    Mutant(
        "whatever the upstream sends is a sign of life",
        "realtime/upstream.py",
        "if self._heard_s < asked_s:",
        "if True:",
        "tests/realtime/test_upstream_links.py -k answers_pings",
    ),
    Mutant(
        "an answer that stops coming is noticed",
        "realtime/session.py",
        'elif name == "stuck":',
        'elif name == "never":',
        f"{FAULTS}test_lost_upstream.py -k stops_coming",
    ),
    Mutant(
        "a typed message that is refused is told",
        "realtime/session_upstream.py",
        "elif self.turns.refused(event_id):",
        "elif False:",
        f"{WISHES} -k upstream_refuses_is_told",
    ),
    Mutant(
        "an answer to a message that was refused is not wanted",
        "realtime/turns.py",
        "            self.talk.out += self.talk.gate.cancel()\n            self.talk.input_ended_ms = None\n",
        "",
        f"{WISHES} -k upstream_refuses_is_told",
    ),
    Mutant(
        "a message that was refused is sent again",
        "realtime/turns.py",
        "                    self._tell(known, upstream_open)\n",
        "",
        f"{WISHES} -k upstream_refuses_is_told",
    ),
    Mutant(
        "a message that was refused is no part of the talk",
        "realtime/transcript.py",
        " or item.refused",
        "",
        f"{WISHES} -k not_told_what_this_one_refused",
    ),
    Mutant(
        "a request that was taken back is not made to the next upstream",
        "realtime/gate.py",
        "(self.phase is Phase.ASKED and not self.cancel_on_created)",
        "self.phase is Phase.ASKED",
        "tests/realtime/test_gate.py -k taken_back",
    ),
    Mutant(
        "what is being said is no turn when push-to-talk is chosen",
        "realtime/session.py",
        "            else:\n                self.turns.give_up_speech()\n",
        "",
        "tests/realtime/test_push_to_talk.py -k all_the_same",
    ),
    Mutant(
        "what is being said is no turn when it is thrown away",
        "realtime/session.py",
        "        self.talk.keeping.thrown_away()\n        self.turns.give_up_speech()\n",
        "        self.talk.keeping.thrown_away()\n",
        "tests/realtime/test_push_to_talk.py -k thrown_away",
    ),
    Mutant(
        "speech that began before push-to-talk was chosen is not waited for",
        "realtime/turns.py",
        "        if self.talk.turn_detection is None:\n            return",
        "        if False:\n            return",
        "tests/realtime/test_push_to_talk.py -k not_waited_for",
    ),
    Mutant(
        "a turn whose end was on its way is one",
        "realtime/turns.py",
        '            item.status, item.text = PENDING, ""\n',
        "",
        "tests/realtime/test_push_to_talk.py -k all_the_same",
    ),
    Mutant(
        "an upstream that knows no probabilities is configured without",
        "realtime/session_upstream.py",
        "if not tells_probabilities(self.config):",
        "if True:",
        "tests/realtime/test_hearing.py -k knows_no_probabilities",
    ),
    Mutant(
        "what one call's upstream refused, the next call does not ask for",
        "realtime/switchboard.py",
        "            self._asks_how_sure &= relay.session.config.asks_how_sure",
        "            pass",
        "tests/realtime/test_hearing.py -k knows_no_probabilities",
    ),
    Mutant(
        "probabilities that were not the reason are asked for again",
        "realtime/session_upstream.py",
        "            self.config = replace(self.config, asks_how_sure=True)",
        "            pass",
        "tests/realtime/test_hearing.py -k without_them_too",
    ),
    Mutant(
        "what was spilled is stored before what is newer",
        "realtime/journal.py",
        "if (not self._replay_due or await self._try_replay()) and await self._store_next():",
        "if await self._store_next():",
        "tests/realtime/test_journal.py -k before_what_came_later",
    ),
    Mutant(
        "what the database gave back goes before what was spilled meanwhile",
        "realtime/journal.py",
        "                self._spill(batch, at_ns=self._in_flight_ns)\n",
        "                self._spill(batch)\n",
        "tests/realtime/test_journal.py -k spilled_meanwhile",
    ),
    Mutant(
        "what was spilled is called saved once it is",
        "realtime/journal.py",
        "                self._tell(zip(entries, ids, whom, strict=True))\n",
        "",
        "tests/realtime/test_journal.py -k called_saved_once",
    ),
    Mutant(
        "a record that waits on the disk keeps no session in memory",
        "realtime/journal.py",
        "WeakMethod(told) if isinstance(told, MethodType) else",
        "",
        "tests/realtime/test_journal.py -k called_saved_once",
    ),
    Mutant(
        "one bad record takes no others along",
        "realtime/journal.py",
        "                ids += self._write_batch([entry])\n",
        "                raise ValueError\n",
        "tests/realtime/test_journal.py -k put_aside_alone",
    ),
    Mutant(
        "an answer that has begun to speak has less time",
        "realtime/session.py",
        "self.config.stuck_response_ms if speaks else self.config.first_word_ms",
        "self.config.first_word_ms",
        "tests/realtime/test_session_limits.py -k less_time",
    ),
    Mutant(
        "an answer of which anything comes is not stuck",
        "realtime/session.py",
        '                self._hear_of_answer(event["response_id"])\n',
        "                pass\n",
        "tests/realtime/test_session_limits.py -k anything_comes",
    ),
    Mutant(
        "the next upstream is told what was said",
        "realtime/session_upstream.py",
        "*up.seeds(self._past(),",
        "*up.seeds((),",
        f"{FAULTS}test_lost_upstream.py -k between_two_events",
    ),
    Mutant(
        "the next upstream is told no more than the last words of a long call",
        "realtime/session_upstream.py",
        "return latest(reversed(self.config.history + self.talk.transcript.seeds()))",
        "return self.config.history + self.talk.transcript.seeds()",
        f"{WISHES} -k however_long",
    ),
    Mutant(
        "the next upstream is told that the budget is nearly used",
        "realtime/session_upstream.py",
        "return [*told, wrap_up()] if self.budget_told >= BUDGET_WRAP_UP else told",
        "return told",
        f"{WISHES} -k nearly_used",
    ),
    Mutant(
        "an old upstream is replaced in time",
        "realtime/session.py",
        'elif name == "rotate":',
        'elif name == "never":',
        f"{FAULTS}test_lost_upstream.py -k old_connection",
    ),
    Mutant(
        "many malformed events end the session",
        "realtime/session.py",
        "if len(self.malformed) > MAX_MALFORMED:",
        "if False:",
        f"{FAULTS}test_odd_events.py -k too_many",
    ),
    Mutant(
        "a message of the upstream has a largest size",
        "realtime/upstream.py",
        "max_size=MAX_MESSAGE_BYTES,",
        "max_size=None,",
        f"{FAULTS}test_odd_events.py -k larger",
    ),
    Mutant(
        "an answer counts once",
        "realtime/answers.py",
        'if marks and marks.status != "in_progress":',
        "if False:",
        f"{FAULTS}test_odd_events.py -k twice",
    ),
    Mutant(
        "speech that waits is bounded",
        "realtime/playout.py",
        "if self.held_bytes + len(pcm) > self.cap_bytes:",
        "if False:",
        f"{FAULTS}test_odd_events.py -k ten_minutes",
    ),
    Mutant(
        "speech is sent a few seconds ahead at most",
        "realtime/playout.py",
        "while room > 0 and item.sent < item.produced:",
        "while item.sent < item.produced:",
        f"{FAULTS}test_lost_browser.py -k plays_nothing",
    ),
    Mutant(
        "an end that was lost with a connection is told again",
        "realtime/playout.py",
        "            self._end_owed = self._done\n",
        "            pass\n",
        "tests/realtime/test_playout.py",
    ),
    Mutant(
        "a page that fell silent is let go",
        "realtime/session.py",
        'elif name == "heartbeat":',
        'elif name == "never":',
        f"{FAULTS}test_lost_browser.py -k fell_silent",
    ),
    Mutant(
        "a page that does not read is let go",
        "realtime/session.py",
        'elif name == "stall":',
        'elif name == "never":',
        f"{FAULTS}test_lost_browser.py -k never_reads",
    ),
    Mutant(
        "an abandoned talk ends with the grace",
        "realtime/session.py",
        'elif name == "grace":',
        'elif name == "never":',
        f"{FAULTS}test_lost_browser.py -k 'mid_utterance and rst'",
    ),
    Mutant(
        "the newer connection supersedes the older",
        "realtime/relay.py",
        "self.link.close(4409)",
        "pass",
        f"{FAULTS}test_lost_browser.py -k superseded",
    ),
    Mutant(
        "one live session for each conversation",
        "realtime/switchboard.py",
        'other.end("superseded")',
        "pass",
        f"{FAULTS}test_rights.py -k two_tabs",
    ),
    Mutant(
        "the rights of a live session are looked at",
        "realtime/leases.py",
        "elif not row.user.is_active or access.auth_fingerprint(row.user) != row.auth_hash:",
        "elif False:",
        f"{FAULTS}test_rights.py -k 'mid_sentence and deactivate'",
    ),
    Mutant(
        "the sweep gives living processes time to renew",
        "realtime/management/commands/realtime_sweep.py",
        "            self.wait(settings.REALTIME_LEASE_SEC)\n",
        "",
        "tests/serve/test_sweep.py",
    ),
    Mutant(
        "a lease that was renewed by a slow clock counts as renewed",
        "realtime/leases.py",
        "if unrenewed is None or lease == unrenewed[pk]]",
        "if True]",
        "tests/serve/test_sweep.py -k clock_is_behind",
    ),
    Mutant(
        "a deleted conversation ends its call for good",
        "realtime/session_life.py",
        '    "conversation_deleted": 4403,\n',
        "",
        f"{FAULTS}test_rights.py -k delete_conversation",
    ),
    Mutant(
        "leases are renewed before any is taken for lost",
        "realtime/switchboard.py",
        "        await self._renew()\n        now = (\n",
        "        now = (\n",
        f"{FAULTS}test_surroundings.py -k 'clock_that_jumps and 600'",
    ),
    Mutant(
        "what the database refused is written again",
        "realtime/journal.py",
        "            self._take_back(batch)\n            return False\n",
        "            return False\n",
        f"{FAULTS}test_database.py -k stays_locked",
    ),
    Mutant(
        "what cannot be kept is not begun",
        "realtime/switchboard.py",
        "        if self.journal.stuck:",
        "        if False:",
        "tests/realtime/test_stuck_storage.py -k none_begins",
    ),
    Mutant(
        "calls end when nothing can be kept",
        "realtime/journal.py",
        "                self.on_stuck()\n",
        "                pass\n",
        "tests/realtime/test_stuck_storage.py -k none_begins",
    ),
    Mutant(
        "a spill that fails leaves no half of a file",
        "realtime/journal.py",
        "            path.unlink(missing_ok=True)  # no half of it",
        "            pass  # no half of it",
        "tests/realtime/test_stuck_storage.py -k half",
    ),
    Mutant(
        "an event that was stored is not stored again",
        "realtime/services.py",
        "for event in events if event.key not in kept}",
        "for event in events}",
        "tests/realtime/test_replay.py",
    ),
    Mutant(
        "what only the upstream is told is in no log line",
        "realtime/relay.py",
        'logger.info("session %s ended: %s", self.session_id, reason)',
        'logger.info("session %s ended: %s %s", self.session_id, reason, self.session.config.instructions)',
        f"{FAULTS}test_refusals.py -k unknown_model",
    ),
    Mutant(
        "the instructions are told to no page",
        "realtime/session_life.py",
        '"offline": self.config.is_local,',
        '"offline": self.config.is_local, "instructions": self.config.instructions,',
        f"{FAULTS}test_refusals.py -k unknown_model",
    ),
]


def main() -> int:
    """Run the wanted mutants; 0 when every one was noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="a word of the name or the file")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    wish = parser.parse_args()
    wanted = [mutant for mutant in MUTANTS if wish.only in f"{mutant.name} {mutant.file}"]
    if wish.list:
        for mutant in wanted:
            print(f"{mutant.file:28} {mutant.name}")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        bad = [mutant.name for mutant in wanted if not noticed(mutant, copy)]
    print(f"{len(wanted) - len(bad)} of {len(wanted)} mutants were noticed")
    return 1 if bad or not wanted else 0


def noticed(mutant: Mutant, copy: Path) -> bool:
    """Whether the tests pass with the control and fail without it."""
    file = copy / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        print(f"OUT OF DATE  {mutant.name}: {mutant.file} holds its text {text.count(mutant.old)} times")
        return False
    began_s = time.monotonic()
    if not passes(mutant.tests, copy):
        print(f"RED BEFORE   {mutant.name}: {mutant.tests} fails without the mutant")
        return False
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        survived = passes(mutant.tests, copy)
    finally:
        file.write_text(text, encoding="utf-8")
    print(
        f"{'SURVIVED' if survived else 'noticed':12} {mutant.name} ({time.monotonic() - began_s:.0f} s)",
        flush=True,
    )
    return not survived


def passes(tests: str, copy: Path) -> bool:
    """Run pytest in the copy. Raises SystemExit when it ran no test at all: a name that is gone proves nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(tests)]
    try:
        run = subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    if run.returncode not in (0, 1):
        raise SystemExit(f"pytest could not run {tests} (exit {run.returncode})")
    return run.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
