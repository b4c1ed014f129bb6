"""The addresses of the chat pages."""

from django.urls import path

from conversations import views

urlpatterns = [
    path("", views.home, name="home"),
    path("chat/", views.chat, name="chat"),
    path("chat/<uuid:conversation_id>/", views.chat, name="conversation"),
    path("chat/<uuid:conversation_id>/unarchive/", views.unarchive, name="unarchive"),
    path("history/", views.history, name="history"),
    path("voice-test", views.voice_test),
    path("voice-test/", views.voice_test, name="voice_test"),
]
