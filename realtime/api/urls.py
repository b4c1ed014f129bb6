"""The addresses of the relay's HTTP API, below `/api/voice/`."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
