"""A function call through both doors: run once, its output sent back, and an answer after it."""

from __future__ import annotations

import json
from typing import Any

from realtime.tools import run_tool
from tests.realtime.page import silence, tone

SCRIPT = [
    {
        "hears": "What time is it in Berlin?",
        "tool": {"name": "current_time", "arguments": {"time_zone": "Europe/Berlin"}},
        "then": "It is late.",
        "audio_ms": 300,
    }
]


async def test_a_function_that_the_model_calls_is_run_and_its_answer_spoken(make_site: Any, ada: Any) -> None:
    site = await make_site(SCRIPT)
    async with await site.page(ada) as page:
        await page.until("ready")
        await page.speak(tone(400) + silence(900))
        await page.until("tool.status", name="current_time", status="running")
        await page.until("tool.status", name="current_time", status="done")
        await page.until("audio.end")
        await page.until("transcript.done", role="assistant", text="It is late.")
        outputs = [
            json.loads(event["item"]["output"])
            for event in site.upstream.connections[0].received
            if event["type"] == "conversation.item.create" and event["item"]["type"] == "function_call_output"
        ]
        assert [output["time_zone"] for output in outputs] == ["Europe/Berlin"]
        assert "Berlin" not in str(page.of("tool.status"))  # the page is told that, not what
        assert not page.of("error")


async def test_a_function_that_does_not_exist_or_fails_is_an_answer_too() -> None:
    assert await run_tool("delete_everything", "{}", user_id=1) == (
        '{"error": "There is no such function."}',
        False,
    )
    for arguments in ("[]", "{", "7", '{"time_zone": 7}'):
        output, _ok = await run_tool("current_time", arguments, user_id=1)
        assert "error" in json.loads(output)
    output, ok = await run_tool("current_time", '{"time_zone": "UTC", "user_id": 99}', user_id=1)
    assert ok
    assert json.loads(output)["time_zone"] == "UTC"


async def test_facts_about_a_page_may_have_any_name(make_site: Any, ada: Any) -> None:
    site = await make_site()
    page = await site.page(ada)
    await page.connect(client={"name": "x", "self": "y", "at_ms": 7})
    async with page:
        await page.until("state", state="listening")
