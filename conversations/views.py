"""The pages of conversations: chat, voice test, history. JSON is in `api/`, accounts in `voiceproject`."""

from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from conversations import choices, services
from conversations.api.serializers import MessageSerializer, PreferencesSerializer
from conversations.models import Conversation, Message, Preferences

SIDEBAR_CONVERSATIONS = 50
FIRST_MESSAGES = 50
HISTORY_PAGE = 50
SEARCH_MAX_CHARS = 200


def private_page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page of one's own: login required, never cached, with the CSRF cookie, in the language the person chose."""

    @wraps(view)
    def in_own_language(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if language := Preferences.of(request.user).language:
            translation.activate(language)
            request.LANGUAGE_CODE = translation.get_language()
        return view(request, *args, **kwargs)

    return never_cache(ensure_csrf_cookie(login_required(in_own_language)))


def home(request: HttpRequest) -> HttpResponse:
    """The chat for those logged in, the login for others."""
    return redirect("chat" if request.user.is_authenticated else "login")


@require_safe
@private_page
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """One conversation with its last messages, or a new one; 404 when it is another's or deleted."""
    own = Conversation.objects.owned_by(request.user)
    conversation = None if conversation_id is None else get_object_or_404(own, pk=conversation_id)
    messages: list[Message] = []
    has_more = False
    if conversation is not None:
        messages, has_more = conversation.messages.all().page_before(None, FIRST_MESSAGES)
    context = {
        "conversation": conversation,
        "conversations": own.archived(False)[:SIDEBAR_CONVERSATIONS],
        "chat_messages": MessageSerializer(messages, many=True).data,
        "bootstrap": _bootstrap(request, conversation, has_more),
        "keep": (conversation or Preferences.of(request.user)).keep,
        "recording": {
            "allowed": settings.REALTIME_RECORDING,
            "days": settings.REALTIME_RECORDING_RETENTION_DAYS,
        },
        **_panel_choices(request),
    }
    return render(request, "chat.html", context)


@require_safe
@private_page
def voice_test(request: HttpRequest) -> HttpResponse:
    """The page that shows each step of a voice session."""
    context = {"bootstrap": _bootstrap(request, None, False), **_panel_choices(request)}
    return render(request, "voice_test.html", context)


@require_safe
@private_page
def history(request: HttpRequest) -> HttpResponse:
    """All of one's conversations, archived ones too, with search and the number of messages of each."""
    query = request.GET.get("q", "").strip()[:SEARCH_MAX_CHARS]
    found = Conversation.objects.owned_by(request.user)
    if query:
        found = found.matching(query)
    page = Paginator(found, HISTORY_PAGE).get_page(request.GET.get("page"))
    conversations = list(page.object_list)
    # Counted for the page's rows only: as an annotation the database would count for all of them first.
    counted = Message.objects.filter(conversation__in=conversations).values_list("conversation")
    counts = dict(counted.annotate(Count("pk")))
    for conversation in conversations:
        conversation.message_count = counts.get(conversation.pk, 0)  # type: ignore[attr-defined]
    return render(request, "history.html", {"conversations": conversations, "page": page, "query": query})


@private_page
@require_POST
def unarchive(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Bring a conversation back to the list, and open it."""
    conversation = get_object_or_404(Conversation.objects.owned_by(request.user), pk=conversation_id)
    services.unarchive_conversation(conversation=conversation)
    return redirect("conversation", conversation.pk)


def _bootstrap(request: HttpRequest, conversation: Conversation | None, has_more: bool) -> dict[str, Any]:
    """What the page's modules need to begin, for `json_script`."""
    return {
        "conversation_id": None if conversation is None else str(conversation.pk),
        "urls": {
            "conversations": reverse("api_conversations"),
            "mint": reverse("realtime_session"),
            "preferences": reverse("api_preferences"),
            "chat": reverse("chat"),
            "login": reverse("login"),
            "usage": reverse("usage"),
        },
        "preferences": PreferencesSerializer(Preferences.of(request.user)).data,
        "voice": {
            "enabled": settings.REALTIME_ENABLED,
            "offline": _is_loopback(settings.REALTIME_BASE_URL),
            "model": settings.REALTIME_MODEL,
        },
        "user": {"name": request.user.get_username(), "is_staff": request.user.is_staff},
        "has_more": has_more,
    }


def _panel_choices(request: HttpRequest) -> dict[str, Any]:
    """What the panel's settings offer. `numbers` are the person's own turn detection, laid over the site's."""
    site = {
        "type": settings.REALTIME_VAD_TYPE,
        "threshold": settings.REALTIME_VAD_THRESHOLD,
        "prefix_padding_ms": settings.REALTIME_VAD_PREFIX_PADDING_MS,
        "silence_duration_ms": settings.REALTIME_VAD_SILENCE_DURATION_MS,
        "eagerness": settings.REALTIME_VAD_EAGERNESS,
    }
    ends = [(sec, label) for sec, label in choices.END_AFTER_CHOICES if sec < settings.REALTIME_IDLE_SEC]
    return {
        "voices": choices.VOICE_CHOICES,
        "noises": choices.NOISE_CHOICES,
        "speech_languages": choices.SPEECH_LANGUAGE_CHOICES,
        "answer_kinds": choices.ANSWERS_CHOICES,
        "ends": ends,
        "caption_styles": choices.CAPTION_CHOICES,
        "numbers": site | Preferences.of(request.user).turn_custom,
    }


def _is_loopback(url: str) -> bool:
    """Whether the address is this machine itself: then voice works without a key and speaks English."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
