"""The ASGI application: HTTP to Django, WebSockets to the relay. Refuses to start when a setting is wrong.

The token in the handshake carries the person and the origin, so no cookie middleware stands before the relay.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from realtime.routing import websocket_urlpatterns  # noqa: E402
from voiceproject.body_limit import bounded  # noqa: E402
from voiceproject.checks import stop_on_errors  # noqa: E402

stop_on_errors()
application = ProtocolTypeRouter(
    {"http": bounded(django_application), "websocket": URLRouter(websocket_urlpatterns)}
)
