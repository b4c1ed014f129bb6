"""The upstream drops, refuses or breaks: the talk goes on with what was said, or ends with a sentence."""

from __future__ import annotations

from typing import Any

from tests.realtime.page import eventually, silence, tone
from tests.realtime.test_resume import uplink_of

SCRIPT = [
    {"hears": "First question.", "says": "First answer.", "audio_ms": 300},
    {"hears": "Second question.", "says": "Second answer.", "audio_ms": 300},
]


def seeds_of(connection: Any) -> list[tuple[str, str]]:
    return [
        (event["item"]["role"], event["item"]["content"][0]["text"])
        for event in connection.received
        if event["type"] == "conversation.item.create"
    ]


async def test_a_lost_upstream_is_dialled_again_and_told_what_was_said(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.speak(tone(400) + silence(900))
        ended = await page.until("audio.end")
        await page.until("message.saved", item_id=ended["item_id"])
        await site.upstream.connections[0].drop(1011)
        await page.until("state", state="reconnecting")
        await page.until("state", state="listening")
        await eventually(lambda: len(seeds_of(site.upstream.connections[1])) == 2)
        assert seeds_of(site.upstream.connections[1]) == [
            ("user", "First question."),
            ("assistant", "First answer."),
        ]
        await page.speak(tone(400) + silence(900))
        await page.until("audio.end")
        await page.say("session.end")
        await page.until_closed()


async def test_a_clean_close_of_the_upstream_is_an_end_too(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await site.upstream.connections[0].drop(1001)
        await page.until("state", state="reconnecting")
        await page.until("state", state="listening")
        assert len(site.upstream.connections) == 2


async def test_speech_under_way_is_heard_by_the_next_upstream(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        await page.speak(tone(600))
        started = await page.until("speech.started")
        await eventually(lambda: len(uplink_of(site.upstream.connections)) >= 48 * 600)
        await site.upstream.connections[0].drop()
        await page.until("transcript.done", item_id=started["item_id"], status="discarded")
        await page.until("state", state="listening")
        await page.speak(tone(200) + silence(900))
        heard = await page.until("transcript.done", role="user")
        assert heard["text"] == "First question."
        await page.until("audio.end")
        assert uplink_of(site.upstream.connections[1:]) == tone(600) + tone(200) + silence(900)


async def test_a_wrong_key_is_not_tried_again_by_the_next_call(make_site: Any, ada: Any, bob: Any) -> None:
    site = await make_site(SCRIPT)
    site.upstream.faults = [{"name": "refuse", "status": 401}]
    for person in (ada, bob):
        async with await site.page(person) as page:
            assert (await page.until("error"))["code"] == "upstream.auth"
            assert await page.until_closed() == 4502
    site.upstream.faults = []
    async with await site.page(ada) as page:
        assert (await page.until("error"))["code"] == "upstream.auth"  # the breaker is open: nobody dialled
    assert not site.upstream.connections


async def test_an_answer_that_fails_without_an_error_event_is_told(make_site: Any, ada: Any) -> None:
    site = await make_site(
        [{"fails": {"type": "server_error", "code": "rate_limit_exceeded", "message": "x"}}]
    )
    async with await site.page(ada, modality="text") as page:
        await page.until("ready")
        await page.say("input.text", text="Hello?", client_id="c1")
        assert (await page.until("error"))["code"] == "upstream.rate_limited"
        own = page.of("transcript.done")[0]
        await page.until("message.saved", item_id=own["item_id"], status="unanswered")
        await page.say(
            "input.text", text="Hello?", client_id="c1"
        )  # tried again: one message, asked for once more
        await page.until("transcript.done", item_id=own["item_id"], status="completed")
        await page.until("error")
    kinds = [event["type"] for event in site.upstream.connections[0].received]
    assert kinds.count("response.create") == 2
    assert kinds.count("conversation.item.create") == 1


async def test_a_typed_message_that_is_refused_is_told_and_sent_again(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada, modality="text") as page:
        await page.until("state", state="listening")
        site.upstream.faults = [{"name": "stall", "ms": 300, "times": 1, "at": "response.created"}]
        await page.say("input.text", text="Hello?", client_id="c1")
        own = await page.until("transcript.done", role="user")
        connection = site.upstream.connections[0]
        (created,) = await eventually(lambda: items_of(connection))
        said = {"type": "invalid_request_error", "code": "x", "message": "m", "param": None}
        await connection.inject({"type": "error", "error": {**said, "event_id": created["event_id"]}})
        assert (await page.until("error"))["code"] == "upstream.message_refused"
        await page.once("message.saved", 0, item_id=own["item_id"], status="unanswered")
        await page.say("input.text", text="Hello?", client_id="c1")
        # It is there after all, so that the same id is refused, and this time by the upstream itself.
        assert (await page.until("error"))["code"] == "upstream.message_refused"
        assert [event["item"]["id"] for event in items_of(connection)] == [own["item_id"]] * 2


def items_of(connection: Any) -> list[dict[str, Any]]:
    return [event for event in connection.received if event["type"] == "conversation.item.create"]


async def test_an_upstream_that_is_not_there_is_told_in_bounded_time(
    make_site: Any, ada: Any, settings: Any
) -> None:
    site = await make_site(SCRIPT)
    settings.REALTIME_BASE_URL = "ws://127.0.0.1:9/v1/realtime"
    async with await site.page(ada) as page:
        assert (await page.until("error"))["code"] == "upstream.unreachable"
        assert await page.until_closed() == 4502
