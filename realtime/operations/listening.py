"""Listening to kept audio in the admin: a reason first, then the sound beside the timeline, with waveforms."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _

from conversations import audit
from conversations.admin import ReasonForm, may_read
from realtime import recordings
from realtime.api.recordings import lane_response
from realtime.audio import samples_to_ms
from realtime.keeping import HEARD, SAID
from realtime.models import Recording
from realtime.operations.inspection import inspect
from realtime.operations.timeline import ASSISTANT_Y, LABEL_PX, LANE_PX, PERSON_Y, Picture
from realtime.recording_file import BOTH, KeptAudio

SALT = "realtime.listening"
GOOD_FOR_S = 3_600
COLUMN_PX = 2.0
MOST_COLUMNS = 2_000


def listen(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Ask for a reason; given one, note it and show the player once. Another look takes another reason."""
    _check(request)
    recording = get_object_or_404(Recording.objects.select_related("session"), pk=session_id)
    form = ReasonForm(request.POST or None)
    form.fields["reason"].label = _("Why do you have to listen to this?")
    context: dict[str, Any] = {**admin.site.each_context(request), "recording": recording, "form": form}
    if request.method == "POST" and form.is_valid():
        audit.content_heard(request, recording.conversation_id, form.cleaned_data["reason"])
        context |= _player(request, recording)
    answer = render(request, "admin/realtime/realtimesession/listen.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def listened(request: HttpRequest, ticket: str, lane: str) -> HttpResponseBase:
    """A lane's sound, for the member of staff who gave a reason within the last hour."""
    _check(request)
    try:
        granted = signing.loads(ticket, salt=SALT, max_age=GOOD_FOR_S)
    except signing.BadSignature:
        raise Http404 from None
    if granted["user"] != request.user.pk:
        raise Http404
    return lane_response(request, get_object_or_404(Recording, pk=granted["session"]), lane)


def _check(request: HttpRequest) -> None:
    if not (request.user.has_perm("realtime.view_realtimesession") and may_read(request)):
        raise PermissionDenied


def _player(request: HttpRequest, recording: Recording) -> dict[str, Any]:
    try:
        with contextlib.closing(recordings.opened(recording)) as audio:
            seen = inspect(recording.session)
            picture: Picture = seen["picture"]
            scale = (picture.width - LABEL_PX - 10) / max(1_000, seen["length_ms"])
            waves = [
                (SAID, wave(audio, SAID, scale, picture.width, PERSON_Y)),
                (HEARD, wave(audio, HEARD, scale, picture.width, ASSISTANT_Y)),
            ]
            start_ms = samples_to_ms(audio.start)
    except FileNotFoundError:
        return {"gone": True}
    ticket = signing.dumps({"session": str(recording.pk), "user": request.user.pk}, salt=SALT)
    lanes = [(BOTH, _("Both")), (SAID, _("Person")), (HEARD, _("Assistant"))]
    return {
        "picture": picture,
        "waves": waves,
        "left": LABEL_PX,
        "scale": scale,
        "start_ms": start_ms,
        "lanes": [(text, reverse("admin:realtime_listened", args=[ticket, lane])) for lane, text in lanes],
    }


def wave(audio: KeptAudio, lane: str, scale: float, width: float, top: int) -> str:
    """A lane's waveform as an SVG path on the timeline: `scale` in px per ms, `top` of the lane in px."""
    start_ms, end_ms = samples_to_ms(audio.start), samples_to_ms(audio.end)
    columns = min(MOST_COLUMNS, int((end_ms - start_ms) * scale / COLUMN_PX))
    step = (end_ms - start_ms) * scale / max(1, columns)
    middle = top + LANE_PX / 2
    strokes = []
    for column, peak in enumerate(audio.peaks(lane, columns)):
        x = LABEL_PX + start_ms * scale + (column + 0.5) * step
        half = round(peak * (LANE_PX / 2 - 1), 1)
        if half and LABEL_PX <= x <= width - 10:
            strokes.append(f"M{x:.1f} {middle - half}V{middle + half}")
    return "".join(strokes)
