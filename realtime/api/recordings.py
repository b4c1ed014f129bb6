"""Kept audio over HTTP: one's own messages and lanes as WAV files that can be sought in, and the deletion of them.

Another person's, a deleted one and one that never was are the same 404.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from conversations import audit
from conversations.api.views import PrivateAPIView
from conversations.models import Conversation
from realtime import recordings
from realtime.audio import BYTES_PER_SAMPLE
from realtime.models import Recording
from realtime.recording_file import BOTH, LANES, WAV_HEADER_BYTES, KeptAudio, wav_header

PIECE_SAMPLES = 131_072  # read and sent at once
RANGE = re.compile(r"bytes=(\d{0,20})-(\d{0,20})")  # Python refuses numbers of thousands of digits
Read = Callable[[KeptAudio, int, int], bytes]


class WavView(PrivateAPIView):
    """A view that answers with sound, whatever the `Accept` header prefers."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Errors are JSON."""
        return super().perform_content_negotiation(request, force=True)


class MessageAudio(WavView):
    """The sound of one of one's own messages: what was said, or what was heard of the answer."""

    def get(self, request: Request, conversation_id: UUID, message_id: UUID) -> HttpResponseBase:
        """A WAV file, with ranges; 404 also when the message belongs to another conversation."""
        found = recordings.of_message(request.user, conversation_id, message_id)
        if found is None:
            raise Http404
        recording, message = found
        item_id = message.item_id
        samples = _look(recording, lambda audio: sum(end - low for _c, low, end in audio.item(item_id)))
        if not samples:
            raise Http404
        return wav_response(
            request._request,
            recording,
            samples,
            lambda audio, start, stop: audio.of_item(item_id, start, stop),
            f"message-{message_id}.wav",
        )


class SessionLane(WavView):
    """A lane of one of one's own sessions along its time, or both mixed."""

    def get(self, request: Request, session_id: UUID, lane: str) -> HttpResponseBase:
        """`lane`: "said", "heard" or "both"; any other is 404."""
        recording = get_object_or_404(recordings.owned_by(request.user), pk=session_id)
        return lane_response(request._request, recording, lane)


class ConversationAudio(PrivateAPIView):
    """The kept audio of one of one's own conversations."""

    def delete(self, request: Request, conversation_id: UUID) -> Response:
        """Delete it, and keep no more from now on: 204."""
        mine = Conversation.objects.owned_by(request.user)
        recordings.delete_of_conversation(get_object_or_404(mine, pk=conversation_id))
        audit.note(request, audit.Action.DELETE_AUDIO, conversation_id=conversation_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


def lane_response(request: HttpRequest, recording: Recording, lane: str) -> HttpResponseBase:
    """A whole lane as a WAV file that begins where the recording does."""
    if lane not in (*LANES, BOTH):
        raise Http404
    start, end = _look(recording, lambda audio: (audio.start, audio.end))
    return wav_response(
        request,
        recording,
        end - start,
        lambda audio, first, stop: audio.aligned(lane, start + first, start + stop),
        f"{recording.pk}-{lane}.wav",
    )


def wav_response(
    request: HttpRequest, recording: Recording, samples: int, read: Read, name: str
) -> HttpResponseBase:
    """So many samples as a WAV file, or the part that `Range` asks for: 200, 206 or 416."""
    size = WAV_HEADER_BYTES + samples * BYTES_PER_SAMPLE
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="{name}"',
    }
    part = asked_range(request.headers.get("Range", ""), size)
    if part is None:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    first, end = part
    whole = (first, end) == (0, size)
    if not whole:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - first)
    return StreamingHttpResponse(
        _stream(recording, samples, read, first, end),
        status=200 if whole else 206,
        content_type="audio/wav",
        headers=headers,
    )


def asked_range(header: str, size: int) -> tuple[int, int] | None:
    """Bytes [first, end) of a `Range` header; all of it when there is none that we know; None: it cannot be met."""
    match = RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return 0, size
    low, high = match.groups()
    if not low:
        return (size - min(int(high), size), size) if int(high) else None
    first, end = int(low), min(int(high) + 1 if high else size, size)
    return (first, end) if first < end else None


async def _stream(
    recording: Recording, samples: int, read: Read, first: int, end: int
) -> AsyncIterator[bytes]:
    if first < WAV_HEADER_BYTES:
        yield wav_header(samples)[first:end]
    at, end = max(0, first - WAV_HEADER_BYTES), end - WAV_HEADER_BYTES
    # Threads of their own: the one that views share would wait for the disk with every other request.
    audio = await sync_to_async(recordings.opened, thread_sensitive=False)(recording)
    try:
        while at < end:
            start = at // BYTES_PER_SAMPLE
            stop = min(end, (start + PIECE_SAMPLES) * BYTES_PER_SAMPLE)
            pcm = await sync_to_async(read, thread_sensitive=False)(
                audio, start, -(-stop // BYTES_PER_SAMPLE)
            )
            # A range need not begin and end with whole samples.
            yield pcm[at - start * BYTES_PER_SAMPLE : stop - start * BYTES_PER_SAMPLE]
            at = stop
    finally:
        audio.close()


def _look(recording: Recording, find: Callable[[KeptAudio], Any]) -> Any:
    try:
        with contextlib.closing(recordings.opened(recording)) as audio:
            return find(audio)
    except FileNotFoundError:
        raise Http404 from None
