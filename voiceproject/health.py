"""Whether the process is alive, for load balancers and people. Asks nothing else: no database, no login."""

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from voiceproject import __version__


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """`{"status": "healthy", "version": ..., "timestamp": ISO-8601 UTC}`."""
    return JsonResponse(
        {"status": "healthy", "version": __version__, "timestamp": timezone.now().isoformat()}
    )
