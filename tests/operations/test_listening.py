"""Staff hear kept audio with a permission, for a reason, for an hour, and each look is noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.test import Client

from conversations.models import AuditEntry
from conversations.services import create_conversation
from realtime import recordings
from realtime.effects import KeepAudio
from realtime.keeping import HEARD, SAID
from realtime.models import RealtimeSession, Recording, SessionEvent
from realtime.operations.listening import wave
from realtime.operations.timeline import ASSISTANT_Y, LABEL_PX, LANE_PX, PERSON_Y
from realtime.recording_file import chunks_of
from tests.realtime.test_recording_file import kept

REASON = {"reason": "The person asked us to find out."}
LOUD = np.full(24_000, 32_000, "<i2").tobytes()


@pytest.fixture
def recording(ada: User, recordings_folder: Path) -> Recording:
    """A second that was said, and after it one that was heard, of four."""
    session = RealtimeSession.objects.create(
        id=uuid4(), user=ada, conversation=create_conversation(owner=ada), modality="voice", engine="local",
        model="m",
    )  # fmt: skip
    SessionEvent.objects.create(session=session, at_ms=4_000, name="ended", data={})
    recordings.begin(session)
    found = Recording.objects.get()
    file = recordings_folder / found.file
    file.parent.mkdir(parents=True)
    file.write_bytes(chunks_of([KeepAudio(SAID, "", 0, 0, LOUD), KeepAudio(HEARD, "a", 0, 1_000, LOUD)]))
    return found


def address(recording: Recording) -> str:
    return f"/admin/realtime/realtimesession/{recording.pk}/listen/"


def staff_with(*permissions: str) -> Client:
    user = User.objects.create_user("sam", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def test_the_session_s_page_leads_there(recording: Recording, operator: User, page_of: Any) -> None:
    page = page_of(operator).get(f"/admin/realtime/realtimesession/{recording.pk}/change/")
    assert address(recording) in page.content.decode()


@pytest.mark.parametrize("permission", ["view_realtimesession", "view_content"])
def test_one_permission_of_the_two_is_not_enough(recording: Recording, permission: str) -> None:
    sam = staff_with(permission)
    assert sam.post(address(recording), REASON).status_code == 403
    assert not AuditEntry.objects.exists()


def test_without_a_reason_there_is_nothing_to_hear(recording: Recording) -> None:
    sam = staff_with("view_realtimesession", "view_content")
    for answer in (sam.get(address(recording)), sam.post(address(recording), {"reason": "short"})):
        assert answer.status_code == 200
        assert b"<audio" not in answer.content
    assert not AuditEntry.objects.exists()


def test_with_a_reason_it_is_heard_and_each_look_is_noted(recording: Recording) -> None:
    sam = staff_with("view_realtimesession", "view_content")
    page = sam.post(address(recording), REASON)
    assert "no-store" in page["Cache-Control"]
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.conversation_id) == ("listen", recording.conversation_id)
    assert entry.actor is not None
    assert entry.actor.username == "sam"
    both, said, heard = (source for _text, source in page.context["lanes"])
    for source in (both, said, heard):
        assert sam.head(source)["Content-Type"] == "audio/wav"
    sam.post(address(recording), REASON)
    assert AuditEntry.objects.count() == 2


def test_the_sound_is_for_who_gave_the_reason_and_for_an_hour(
    recording: Recording, operator: User, page_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam = staff_with("view_realtimesession", "view_content")
    _text, source = sam.post(address(recording), REASON).context["lanes"][0]
    assert page_of(operator).get(source).status_code == 404
    assert sam.get(source.replace("both", "other")).status_code == 404
    forged = signing.dumps({"session": str(recording.pk), "user": 1}, salt="another")
    assert sam.get(f"/admin/realtime/realtimesession/listened/{forged}/both/").status_code == 404
    monkeypatch.setattr("realtime.operations.listening.GOOD_FOR_S", -1)
    assert sam.get(source).status_code == 404


def test_a_file_that_is_gone_is_told(recording: Recording, recordings_folder: Path) -> None:
    (recordings_folder / recording.file).unlink()
    page = staff_with("view_realtimesession", "view_content").post(address(recording), REASON)
    assert "is gone" in page.content.decode()


def test_the_waveform_lies_on_the_timeline() -> None:
    audio = kept([KeepAudio(SAID, "", 0, 0, LOUD), KeepAudio(HEARD, "a", 0, 1_000, LOUD)])
    for lane, top, first_ms in ((SAID, PERSON_Y, 0), (HEARD, ASSISTANT_Y, 1_000)):
        strokes = wave(audio, lane, 0.1, 300.0, top).split("M")[1:]
        at = [float(stroke.split(" ")[0]) for stroke in strokes]
        assert at[0] == pytest.approx(LABEL_PX + first_ms * 0.1, abs=2.1)
        assert at[-1] == pytest.approx(LABEL_PX + (first_ms + 1_000) * 0.1, abs=2.1)
        heights = [float(part) for stroke in strokes for part in stroke.split(" ")[1].split("V")]
        assert top <= min(heights) < max(heights) <= top + LANE_PX
