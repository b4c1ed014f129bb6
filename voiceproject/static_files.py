"""Static files: under names that hold their content's hash, where modules name each other included; and as answers."""

import contextlib

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

# Worklets are not imported but loaded by address, relative to the module that loads them.
BY_ADDRESS = (
    r"""(?P<matched>new URL\(["'](?P<url>\./[^"']+\.js)["'], import\.meta\.url\))""",
    """new URL("%(url)s", import.meta.url)""",
)


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """WhiteNoise's, with Django's rewriting of JavaScript imports switched on."""

    support_js_module_import_aggregation = True
    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("*.js", (BY_ADDRESS,)))


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise's, with answers that hold the file's bytes and not the open file.

    When the peer is gone before its answer was made, Django drops the answer without closing it: a file in it would
    stay open until it is collected. Under ASGI an open file is read whole in any case, with one more hop to a thread.
    """

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        """The whole file or the part that `Range` asks for; 206, 304, 405 and 416 are WhiteNoise's."""
        found = static_file.get_response(request.method, request.META)
        with contextlib.closing(found.file) if found.file else contextlib.nullcontext():
            answer = HttpResponse(found.file.read() if found.file else b"", status=int(found.status))
        del answer["Content-Type"]
        for name, value in found.headers:
            answer[name] = value
        return answer
