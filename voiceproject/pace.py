"""How often one address may send a form that needs no login and costs something: new accounts, mails. Counts only.

Counted in the cache, per process where there is no Redis. Addresses of this machine are not limited, for the reason
that `realtime/doorkeeper.py` gives.
"""

from __future__ import annotations

import hashlib
import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime import doorkeeper
from voiceproject.lockout import address_of

HOUR_S = 3_600


def is_too_often(request: HttpRequest, form: str) -> bool:
    """Count this form's being sent; whether its address did so more often than it may within the hour."""
    house = doorkeeper.house(address_of(request))
    if not house:
        return False
    mark = hashlib.sha256(house.encode()).hexdigest()[:32]
    key = f"pace:{form}:{mark}:{int(time.time()) // HOUR_S}"
    cache.add(key, 0, HOUR_S)
    try:
        return bool(cache.incr(key) > settings.FORMS_PER_HOUR)
    except ValueError:  # it went just now
        return False


def wait(request: HttpRequest) -> HttpResponse:
    """429, with the hour that is to be waited for at most."""
    answer = render(request, "registration/too_often.html", status=429)
    answer["Retry-After"] = str(HOUR_S)
    return answer
