"""The response headers that neither Django nor a library sets: what the site's pages may ask of the browser."""

from collections.abc import Awaitable, Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

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


@sync_and_async_middleware
def PermissionsPolicy(  # noqa: N802 - named like the other entries of MIDDLEWARE
    get_response: Callable[[HttpRequest], HttpResponseBase]
    | Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Set `Permissions-Policy` and `Cross-Origin-Resource-Policy` on every answer."""
    from asgiref.sync import iscoroutinefunction

    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            return _marked(await get_response(request))  # type: ignore[misc]

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        return _marked(get_response(request))

    return synchronous


def _marked(response: HttpResponseBase) -> HttpResponseBase:
    response.headers["Permissions-Policy"] = POLICY
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    return response
