"""Time and date, here and in some cities. The present moment is an argument."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

_ZONES = {
    "london": "Europe/London",
    "dublin": "Europe/Dublin",
    "lisbon": "Europe/Lisbon",
    "paris": "Europe/Paris",
    "berlin": "Europe/Berlin",
    "madrid": "Europe/Madrid",
    "rome": "Europe/Rome",
    "vienna": "Europe/Vienna",
    "zurich": "Europe/Zurich",
    "amsterdam": "Europe/Amsterdam",
    "athens": "Europe/Athens",
    "istanbul": "Europe/Istanbul",
    "cairo": "Africa/Cairo",
    "nairobi": "Africa/Nairobi",
    "lagos": "Africa/Lagos",
    "johannesburg": "Africa/Johannesburg",
    "dubai": "Asia/Dubai",
    "mumbai": "Asia/Kolkata",
    "delhi": "Asia/Kolkata",
    "singapore": "Asia/Singapore",
    "hong kong": "Asia/Hong_Kong",
    "beijing": "Asia/Shanghai",
    "shanghai": "Asia/Shanghai",
    "seoul": "Asia/Seoul",
    "tokyo": "Asia/Tokyo",
    "sydney": "Australia/Sydney",
    "melbourne": "Australia/Melbourne",
    "auckland": "Pacific/Auckland",
    "honolulu": "Pacific/Honolulu",
    "los angeles": "America/Los_Angeles",
    "san francisco": "America/Los_Angeles",
    "seattle": "America/Los_Angeles",
    "denver": "America/Denver",
    "chicago": "America/Chicago",
    "new york": "America/New_York",
    "boston": "America/New_York",
    "toronto": "America/Toronto",
    "mexico city": "America/Mexico_City",
    "sao paulo": "America/Sao_Paulo",
    "buenos aires": "America/Argentina/Buenos_Aires",
}
_TIME = re.compile(
    r"\bwhat(?:'s| is)? (?:the )?(?:current )?time\b|\bwhat time\b|\btell me the time\b|\bthe time(?: is it)?(?: now)?$"
)
_UNTIL = re.compile(
    r"\bhow (?:many days|long) (?:until|till|to|is it until|are left until) (christmas|new year)"
)
_DAY = re.compile(
    r"\b(?:what|which) (?:day|date|weekday)\b|\bwhat(?:'s| is) (?:the |today's |tomorrow's )+(?:date|day)\b"
)


def answer(said: str, now: dt.datetime) -> str | None:
    """`now` must know its zone."""
    text = said.lower().strip(" ?.!")
    if _TIME.search(text):
        return _time(text, now)
    if match := _UNTIL.search(text):
        return _until(match[1], now.date())
    if re.search(r"\b(what|which) (year|month)\b", text):
        return f"It is {now:%B} {now.year}."
    if _DAY.search(text):
        for word, shift in (("tomorrow", 1), ("yesterday", -1)):
            if word in text:
                verb = "is" if shift > 0 else "was"
                return f"{word.capitalize()} {verb} {_date(now.date() + dt.timedelta(days=shift))}."
        return f"Today is {_date(now.date())}."
    return None


def spoken_time(now: dt.datetime) -> str:
    """Half past nine in the evening is "9:30 PM": what the speech part reads best."""
    return f"{now.hour % 12 or 12}:{now.minute:02d} {'AM' if now.hour < 12 else 'PM'}"


def _time(text: str, now: dt.datetime) -> str:
    place = re.search(r"\bin ([a-z ]+?)(?: now| right now| at the moment)?$", text)
    if place is None or place[1] in ("here", "the moment"):
        return f"It is {spoken_time(now)}."
    city = place[1].strip()
    if city not in _ZONES:
        return f"I do not know the time in {city.title()}. Here it is {spoken_time(now)}."
    try:
        there = now.astimezone(zoneinfo.ZoneInfo(_ZONES[city]))
    except zoneinfo.ZoneInfoNotFoundError:
        return f"This computer has no time zone data, so I only know the time here: {spoken_time(now)}."
    day = "" if there.date() == now.date() else (" tomorrow" if there.date() > now.date() else " yesterday")
    return f"In {city.title()} it is {spoken_time(there)}{day}."


def _until(occasion: str, today: dt.date) -> str:
    month, day, name = (12, 25, "Christmas") if occasion == "christmas" else (1, 1, "New Year's Day")
    then = dt.date(today.year, month, day)
    if then < today:
        then = dt.date(today.year + 1, month, day)
    days = (then - today).days
    if days == 0:
        return f"Today is {name}!"
    return f"{name} is tomorrow." if days == 1 else f"There are {days} days until {name}."


def _date(day: dt.date) -> str:
    return f"{day:%A}, {day:%B} {day.day}, {day.year}"
