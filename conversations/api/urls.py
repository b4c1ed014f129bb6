"""The addresses of the REST API of conversations and preferences, below `/api/`."""

from django.urls import path

from conversations.api import views

urlpatterns = [
    path("conversations/", views.ConversationList.as_view(), name="api_conversations"),
    path(
        "conversations/<uuid:conversation_id>/", views.ConversationDetail.as_view(), name="api_conversation"
    ),
    path(
        "conversations/<uuid:conversation_id>/restore/",
        views.ConversationRestore.as_view(),
        name="api_conversation_restore",
    ),
    path("conversations/<uuid:conversation_id>/messages/", views.MessageList.as_view(), name="api_messages"),
    path(
        "conversations/<uuid:conversation_id>/messages/<uuid:message_id>/",
        views.MessageDetail.as_view(),
        name="api_message",
    ),
    path(
        "conversations/<uuid:conversation_id>/export/<slug:form>/",
        views.ConversationExport.as_view(),
        name="api_conversation_export",
    ),
    path("preferences/", views.PreferencesDetail.as_view(), name="api_preferences"),
]
