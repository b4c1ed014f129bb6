"""The cache on Redis, for a site that goes on without it: what cannot be read was not there. Nothing is decided here.

All that is cached can be worked out anew, and what limits people for certain is counted in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger("voiceproject.cache")


def _or_nothing(method: Callable[..., Any], nothing: Callable[..., Any]) -> Callable[..., Any]:
    """The method, whose answer is `nothing(...)` while Redis is away."""

    @wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (RedisError, OSError) as error:
            logger.warning("the cache is not to be had: %s", type(error).__name__)
            return nothing(*args, **kwargs)

    return guarded


def _default(key: Any, default: Any = None, *args: Any, **kwargs: Any) -> Any:
    return default


class ForgivingRedisCache(RedisCache):
    """Django's, but an error of Redis is a miss."""

    get = _or_nothing(RedisCache.get, _default)
    get_many = _or_nothing(RedisCache.get_many, lambda *args, **kwargs: {})
    has_key = _or_nothing(RedisCache.has_key, lambda *args, **kwargs: False)
    add = _or_nothing(RedisCache.add, lambda *args, **kwargs: True)
    touch = _or_nothing(RedisCache.touch, lambda *args, **kwargs: False)
    set = _or_nothing(RedisCache.set, lambda *args, **kwargs: None)
    set_many = _or_nothing(RedisCache.set_many, lambda *args, **kwargs: [])
    delete = _or_nothing(RedisCache.delete, lambda *args, **kwargs: False)
    delete_many = _or_nothing(RedisCache.delete_many, lambda *args, **kwargs: None)
    clear = _or_nothing(RedisCache.clear, lambda *args, **kwargs: False)
    incr = _or_nothing(RedisCache.incr, lambda key, delta=1, *args, **kwargs: delta)
