"""Addresses under /api/voice/."""

from django.urls import path

from realtime.api.recordings import SessionLane
from realtime.api.sessions import SessionDetail, SessionList
from realtime.api.views import RealtimeSessionView
from realtime.api.voice_samples import voice_sample

urlpatterns = [
    path("realtime-session", RealtimeSessionView.as_view(), name="realtime_session"),
    path("samples/<slug:voice>", voice_sample, name="voice_sample"),
    path("sessions/", SessionList.as_view(), name="api_sessions"),
    path("sessions/<uuid:session_id>/", SessionDetail.as_view(), name="api_session"),
    path("sessions/<uuid:session_id>/audio/<slug:lane>", SessionLane.as_view(), name="session_audio"),
]
