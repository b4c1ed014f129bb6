"""Before a session exists: keys, paths, refusals, protocols, and what else the port answers."""

from __future__ import annotations

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import Talker


async def status_of(upstream: LocalServer, query: str = "?model=gpt-realtime-2.1", **options: object) -> int:
    """The HTTP status of a refused handshake."""
    with pytest.raises(InvalidStatus) as refused:
        async with Talker(upstream.url, query, **options):
            pass
    return refused.value.response.status_code


async def closed_with(upstream: LocalServer, query: str, **options: object) -> tuple[str, int, str]:
    """The code of the error event, then code and reason of the close."""
    async with Talker(upstream.url, query, **options) as talker:
        error = await talker.next()
        with pytest.raises(ConnectionClosed) as closed:
            await talker.next()
    assert closed.value.rcvd is not None
    return error["error"]["code"], closed.value.rcvd.code, closed.value.rcvd.reason


async def test_any_key_or_none_is_let_in_by_default(upstream: LocalServer) -> None:
    async with Talker(upstream.url) as talker:
        assert (await talker.next())["type"] == "session.created"


async def test_a_missing_key_is_refused_when_one_is_required() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0, require_key=True)) as upstream:
        assert await status_of(upstream) == 401
        async with Talker(upstream.url, additional_headers={"Authorization": "Bearer anything"}) as talker:
            assert (await talker.next())["type"] == "session.created"


async def test_a_browser_brings_its_key_in_the_subprotocols() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0, keys=("sk-right",))) as upstream:
        offered = ["realtime", "openai-insecure-api-key.sk-right"]
        async with Talker(upstream.url, subprotocols=offered) as talker:
            assert talker.socket.subprotocol == "realtime"
        assert await status_of(upstream, subprotocols=["realtime", "openai-insecure-api-key.sk-wrong"]) == 401


async def test_an_unknown_client_secret_is_refused_even_when_keys_are_not_asked_for(
    upstream: LocalServer,
) -> None:
    assert await status_of(upstream, additional_headers={"Authorization": "Bearer ek_unknown"}) == 401


async def test_another_path_is_not_found(upstream: LocalServer) -> None:
    assert await status_of(upstream, "/calls") == 404


async def test_more_sessions_than_allowed_are_refused_with_a_time_to_come_back() -> None:
    async with (
        LocalServer(LocalConfig(mode="scripted", port=0, max_sessions=1)) as upstream,
        Talker(upstream.url),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with Talker(upstream.url):
                pass
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "5"


async def test_what_the_provider_answers_after_accepting(upstream: LocalServer) -> None:
    beta = {"additional_headers": {"OpenAI-Beta": "realtime=v1"}}
    assert await closed_with(upstream, "?model=gpt-realtime-2.1", **beta) == (
        "beta_api_shape_disabled",
        4000,
        "invalid_request_error.beta_api_shape_disabled",
    )
    assert (await closed_with(upstream, "?intent="))[:2] == ("invalid_intent", 4000)
    assert (await closed_with(upstream, "?model=gpt-live-1"))[:2] == ("invalid_model", 4000)


async def test_health_tells_how_many_are_connected(upstream: LocalServer) -> None:
    async with httpx2.AsyncClient() as http, Talker(upstream.url) as talker:
        await talker.next()
        answer = await http.get(upstream.http_url.removesuffix("/v1") + "/healthz")
        assert answer.json() == {"status": "ok", "mode": "scripted", "open": 1}
        assert (await http.get(upstream.http_url + "/realtime")).status_code == 400
        assert (await http.get(upstream.http_url + "/realtime/client_secrets")).status_code == 405
        assert (await http.post(upstream.http_url + "/elsewhere", json={})).status_code == 404


async def test_a_client_secret_ends_with_its_time(upstream: LocalServer) -> None:
    keys = upstream._keys
    secret = keys.mint(b'{"expires_after": {"seconds": 60}}', upstream._ids, epoch_s=1_000)
    assert secret["expires_at"] == 1_060
    from websockets.datastructures import Headers

    from realtime.local.handshake import Refusal

    headers = Headers(Authorization=f"Bearer {secret['value']}")
    keys.check(headers, epoch_s=1_059)
    with pytest.raises(Refusal):
        keys.check(headers, epoch_s=1_060)


async def test_records_and_handles_for_tests(upstream: LocalServer) -> None:
    async with Talker(upstream.url, additional_headers={"X-Mark": "7"}) as talker:
        await talker.next()
        await talker.configure()
        (connection,) = upstream.connections
        assert connection.request_headers["X-Mark"] == "7"
        assert [event["type"] for event in connection.received] == ["session.update"]
        assert [event["type"] for event in connection.sent] == ["session.created", "session.updated"]
        await connection.inject({"type": "made.up", "event_id": "event_1"})
        assert (await talker.next())["type"] == "made.up"
        assert (connection.open, connection.close_code, upstream.open_count) == (True, None, 1)
        await connection.drop()
        with pytest.raises(ConnectionClosed) as closed:
            await talker.next()
        assert closed.value.rcvd is None
        assert (connection.open, connection.close_code, upstream.open_count) == (False, 1006, 0)
