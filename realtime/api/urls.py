"""Addresses under /api/voice/."""

from django.urls import path

from realtime.api.views import RealtimeSessionView

urlpatterns = [path("realtime-session", RealtimeSessionView.as_view(), name="realtime_session")]
