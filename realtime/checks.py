"""System checks of the relay's settings, `realtime.E001` and on. Numbers are checked as they are read."""

from __future__ import annotations

import re
from importlib import metadata
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from realtime.conf import LOOPBACK_HOSTS

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")


@register()
def check_base_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The upstream's address: encrypted unless it is this machine, and nothing hidden in it."""
    try:
        parts = urlsplit(settings.REALTIME_BASE_URL)
        host, port = parts.hostname, parts.port
    except ValueError:
        return [Error("REALTIME_BASE_URL is not an address.", id="realtime.E001")]
    if parts.scheme not in ("ws", "wss") or not host or port == 0:
        return [
            Error(
                "REALTIME_BASE_URL must look like wss://api.openai.com/v1/realtime (or ws:// on this machine).",
                id="realtime.E001",
            )
        ]
    if (
        not is_plain_host(host)
        or not settings.REALTIME_BASE_URL.isprintable()
        or " " in settings.REALTIME_BASE_URL
    ):
        return [
            Error(
                "REALTIME_BASE_URL must name its host in plain letters, or by an address that machines may have.",
                id="realtime.E009",
            )
        ]
    if parts.scheme == "ws" and host not in LOOPBACK_HOSTS:
        return [
            Error("REALTIME_BASE_URL must use wss:// unless the host is this machine.", id="realtime.E002")
        ]
    if parts.username or parts.password or parts.query or parts.fragment:
        return [
            Error(
                "REALTIME_BASE_URL must hold no user, password, query or fragment; the key is set with OPENAI_API_KEY.",
                id="realtime.E003",
            )
        ]
    return []


def is_plain_host(host: str) -> bool:
    """Whether a host is written as it is meant: a name, or an address that is not one of a network's own services.

    169.254.169.254 tells the secrets of a machine in many data centres; 2852039166 and 0xa9fea9fe are the same.
    """
    if ":" not in host and not re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", host):
        return re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", host) is not None
    try:
        found = ip_address(host)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    barred = found.is_link_local or found.is_multicast or found.is_unspecified or found.is_reserved
    return found.is_loopback or not barred


@register()
def check_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A remote upstream needs a key."""
    host = urlsplit(settings.REALTIME_BASE_URL).hostname
    if not settings.REALTIME_ENABLED or settings.OPENAI_API_KEY or host in LOOPBACK_HOSTS:
        return []
    return [
        Warning(
            "REALTIME_BASE_URL is not on this machine and OPENAI_API_KEY is not set: voice answers 503.",
            id="realtime.W004",
        )
    ]


@register()
def check_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Model and voice names."""
    found: list[CheckMessage] = []
    if settings.REALTIME_VOICE not in VOICES:
        found.append(Error(f"REALTIME_VOICE must be one of {', '.join(VOICES)}.", id="realtime.E005"))
    if any(character.isspace() for character in settings.REALTIME_MODEL):
        found.append(Error("REALTIME_MODEL must not contain blanks.", id="realtime.E006"))
    return found


@register()
def check_origins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Origins are exact: scheme, host and port, nothing after them."""
    wrong = []
    for origin in settings.ALLOWED_ORIGINS:
        parts = urlsplit(origin)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or origin != f"{parts.scheme}://{parts.netloc}"
        ):
            wrong.append(origin)
    return [
        Error(
            f"ALLOWED_ORIGINS must hold origins such as https://voice.example.org; {origin!r} is not one.",
            id="realtime.E007",
        )
        for origin in wrong
    ]


@register()
def check_traces(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Traces that are asked for need packages that a plain installation does not have."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return []
    try:
        metadata.version("opentelemetry-exporter-otlp-proto-http")
    except metadata.PackageNotFoundError:
        return [
            Warning(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages for traces are not installed: none are sent. "
                "`scripts/venv.sh scale` installs them.",
                id="realtime.W008",
            )
        ]
    return []
