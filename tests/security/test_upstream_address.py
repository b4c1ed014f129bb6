"""The upstream's address: what the site does not start with, whoever wrote it, and what it does."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.checks import check_base_url
from realtime.conf import relay_config
from realtime.exceptions import UpstreamUnreachable
from realtime.upstream import address

REFUSED = [
    "http://api.openai.com/v1/realtime",
    "https://api.openai.com/v1/realtime",
    "file:///etc/passwd",
    "gopher://api.openai.com/",
    "ftp://api.openai.com/",
    "api.openai.com/v1/realtime",
    "//api.openai.com/v1/realtime",
    "wss:///v1/realtime",
    "wss://:443/v1/realtime",
    "wss://api.openai.com:0/",
    "wss://api.openai.com:99999/",
    "wss://[::1/",
    "ws://voice.example/v1/realtime",
    "ws://10.0.0.7/v1/realtime",
    "ws://127.0.0.1.evil.example/",
    "ws://127.1/",
    "ws://2130706433/",
    "ws://localhost./",
    "wss://169.254.169.254/latest/meta-data",
    "wss://[::ffff:169.254.169.254]/",
    "wss://[fe80::1]/",
    "wss://2852039166/",
    "wss://0xa9fea9fe/",
    "wss://0xa9.0xfe.0xa9.0xfe/",
    "wss://0251.0376.0251.0376/",
    "wss://0.0.0.0/",
    "wss://[::]/",
    "wss://224.0.0.1/",
    "wss://user@api.openai.com/",
    "wss://api.openai.com@evil.example/",
    "wss://evil.example\\@api.openai.com/",
    "wss://api.openai.com/?redirect=wss://evil.example",
    "wss://evil.example#@api.openai.com/",
    "wss://api.openai.com.\n/",
    "wss://api.openai\t.com/",
    "wss://api.openai.com./",
    "wss://api.open\u0430i.com/",
    "wss://%31%36%39.254.169.254/",
    "wss://api openai.com/",
    "",
]
TAKEN = [
    "wss://api.openai.com/v1/realtime",
    "wss://my-resource.openai.azure.com/openai/v1/realtime",
    "wss://voice.example:8443/v1/realtime",
    "wss://10.0.0.7/v1/realtime",  # a server of one's own, with a certificate
    "wss://[2001:db8::7]/v1/realtime",
    "ws://127.0.0.1:8765/v1/realtime",
    "ws://[::1]:8765/v1/realtime",
    "ws://localhost:8765/v1/realtime",
]


@pytest.mark.parametrize("url", REFUSED)
def test_the_site_does_not_start_with_an_upstream_at(settings: Any, url: str) -> None:
    settings.REALTIME_BASE_URL = url
    assert [error.is_serious() for error in check_base_url(None)] == [True]


@pytest.mark.parametrize("url", TAKEN)
def test_it_starts_with_an_upstream_at(settings: Any, url: str) -> None:
    settings.REALTIME_BASE_URL = url
    assert check_base_url(None) == []


@pytest.mark.parametrize("url", ["http://api.openai.com/", "ws://voice.example/", "file:///etc/passwd", ""])
def test_nor_is_such_an_address_ever_dialled(settings: Any, url: str) -> None:
    settings.REALTIME_BASE_URL = url
    with pytest.raises(UpstreamUnreachable):
        address(relay_config(settings))
