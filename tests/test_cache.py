"""The cache on a Redis that is not there: everything is a miss, nothing is an error."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches

from voiceproject.cache import ForgivingRedisCache


@pytest.fixture
def cache(settings: Any) -> ForgivingRedisCache:
    """A cache whose Redis refuses connections."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "gone": {"BACKEND": "voiceproject.cache.ForgivingRedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
    }
    found = caches["gone"]
    assert isinstance(found, ForgivingRedisCache)
    return found


def test_what_cannot_be_read_was_not_there(cache: ForgivingRedisCache) -> None:
    cache.set("a", 1, 60)
    cache.set_many({"b": 2})
    assert cache.get("a") is None
    assert cache.get("a", "default") == "default"
    assert cache.get_many(["a", "b"]) == {}
    assert "a" not in cache
    assert cache.add("a", 1)
    assert cache.get_or_set("a", lambda: 7) == 7
    assert cache.incr("a") == 1
    assert not cache.touch("a")
    assert not cache.delete("a")
    cache.delete_many(["a"])
    cache.clear()


@pytest.mark.django_db
def test_tokens_are_minted_without_the_cache(
    cache: ForgivingRedisCache, settings: Any, ada: Any, api_of: Any
) -> None:
    settings.CACHES = {"default": settings.CACHES["gone"]}
    answer = api_of(ada).post(
        "/api/voice/realtime-session", {}, format="json", HTTP_ORIGIN="http://testserver"
    )
    assert answer.status_code == 200
