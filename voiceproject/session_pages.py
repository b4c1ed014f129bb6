"""The page of one's own calls that are under way, on whatever device, with a way to end each."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.generic import View

from conversations.views import private_page
from realtime import access
from realtime.api.sessions import end_own_session


@method_decorator(private_page, name="dispatch")
class Sessions(View):
    """Context: `sessions`, latest first. A POST names the session to end in `session`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The page."""
        sessions = access.live_sessions(request.user).select_related("conversation")
        return render(request, "sessions.html", {"sessions": sessions})

    def post(self, request: HttpRequest) -> HttpResponse:
        """End one; 404 when it is another's or over already."""
        try:
            session_id = UUID(request.POST.get("session", ""))
        except ValueError:
            raise Http404 from None
        end_own_session(request.user, session_id)
        messages.success(request, _("The call was ended."))
        return redirect("sessions")
