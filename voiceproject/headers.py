"""The response headers that neither Django nor a library sets: what the site's pages may ask of the browser."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

# The microphone for our own pages; everything else that browsers can be told to refuse, refused.
REFUSED = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
OWN = ("microphone", "autoplay", "screen-wake-lock", "speaker-selection")
POLICY = ", ".join(
    [*(f"{name}=(self)" for name in OWN), *(f"{name}=()" for name in REFUSED if name not in OWN)]
)


class PermissionsPolicy(MiddlewareMixin):
    """Set `Permissions-Policy` and `Cross-Origin-Resource-Policy` on every answer, and what caches may do with it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """An answer of ours with both. One for whose making the login was looked at is kept by nobody."""
        response.headers["Permissions-Policy"] = POLICY
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        session = getattr(request, "session", None)
        if session is not None and session.accessed:
            response.headers.setdefault("Cache-Control", "no-store")
        return response
