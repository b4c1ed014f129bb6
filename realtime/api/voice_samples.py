"""`GET /api/voice/samples/<voice>`: how a voice sounds. Asynchronous: no thread of the site waits for it."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import get_language
from django.views.decorators.http import require_GET

from conversations.choices import VOICES
from realtime import voice_samples
from realtime.exceptions import UpstreamError

SITES_OWN = "site"


@require_GET
async def voice_sample(request: HttpRequest, voice: str) -> HttpResponse:
    """A WAV file; 401 for nobody, 404 for a voice that is not on the list, 503 when the upstream gives none."""
    user = await request.auser()
    if not user.is_authenticated:
        return JsonResponse({"code": "auth.expired", "message": "Log in first."}, status=401)
    if voice not in (SITES_OWN, *VOICES) or not settings.REALTIME_ENABLED:
        raise Http404
    try:
        wav = await voice_samples.sample("" if voice == SITES_OWN else voice, get_language() or "en")
    except UpstreamError:
        body = {"code": "upstream.lost", "message": "The voice service gives no sample right now."}
        return JsonResponse(body, status=503, headers={"Cache-Control": "no-store"})
    return HttpResponse(wav, content_type="audio/wav", headers={"Cache-Control": "private, max-age=86400"})
