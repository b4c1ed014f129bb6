"""The addresses of the site. The WebSocket's are in `realtime/routing.py`."""

from django.contrib import admin
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpRequest, JsonResponse
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from realtime.api.recordings import ConversationAudio, MessageAudio
from voiceproject import account_api, account_pages, session_pages, usage_pages
from voiceproject.forms import ForgottenPasswordForm
from voiceproject.health import health
from voiceproject.readiness import metrics_page, ready


@csrf_exempt
def no_such_address(request: HttpRequest) -> JsonResponse:
    """A program that mistyped an address gets JSON, not a page."""
    return JsonResponse(
        {"detail": "There is nothing at this address. Mind the slash at the end."}, status=404
    )


urlpatterns = [
    path("", include("conversations.urls")),
    # Browsers ask for this on pages that name no icon of their own, as those of the admin.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("icon.svg"))),
    path("health", health, name="health"),
    path("health/", health),
    path("health/ready", ready, name="health_ready"),
    path("health/ready/", ready),
    path("metrics", metrics_page, name="metrics"),
    path("accounts/login/", account_pages.LogIn.as_view(), name="login"),
    path("accounts/signup/", account_pages.SignUp.as_view(), name="signup"),
    path("accounts/password_change/", account_pages.NewPassword.as_view(), name="password_change"),
    path("accounts/logout/", account_pages.LogOut.as_view(), name="logout"),
    path("accounts/password_reset/", account_pages.ForgottenPassword.as_view(), name="password_reset"),
    path(
        "accounts/reset/<uidb64>/<token>/",
        PasswordResetConfirmView.as_view(form_class=ForgottenPasswordForm),
        name="password_reset_confirm",
    ),
    path("accounts/", include("django.contrib.auth.urls")),
    path("account/", account_pages.Account.as_view(), name="account"),
    path("account/sessions/", session_pages.Sessions.as_view(), name="sessions"),
    path("usage/", usage_pages.usage, name="usage"),
    path("api/", include("conversations.api.urls")),
    path(
        "api/conversations/<uuid:conversation_id>/audio/",
        ConversationAudio.as_view(),
        name="conversation_audio",
    ),
    path(
        "api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/audio/",
        MessageAudio.as_view(),
        name="message_audio",
    ),
    path("api/export/", account_api.Export.as_view(), name="api_export"),
    path("api/token/", account_api.ObtainToken.as_view(), name="api_token"),
    path("api/token/refresh/", account_api.RefreshToken.as_view(), name="api_token_refresh"),
    path("api/voice/", include("realtime.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
    re_path(r"^api/", no_such_address),
    # Of Django's own page wrong passwords would not count.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
    path("admin/", admin.site.urls),
]
