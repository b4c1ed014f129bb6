"""A session ends with the rights it was begun with: in this process at once, in others when they renew their leases."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session as Login
from django.test import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime import access, admission, leases
from realtime.models import RealtimeSession
from tests.realtime.page import Page, eventually

PASSWORD = "ada-secret-1815"
AT_ONCE_S = 2.0


class CookiePage(Page):
    """A page as browsers have it: minted with the login's cookie, connected with it."""

    async def connect(self, *, token: str | None = None, **hello: Any) -> None:
        self._socket = await connect(
            self.minted["url"],
            subprotocols=["voice.v1", "t." + (token or self.minted["token"])],
            origin=self.origin,
            compression=None,
            additional_headers={"Cookie": self.minted["cookie"]} if self.minted["cookie"] else None,
        )
        await self.say("hello", uplink_samples=0, client={})


def mint_with_cookie(browser: Client, port: int) -> CookiePage:
    origin = "http://testserver"
    answer = browser.post("/api/voice/realtime-session", {}, "application/json", headers={"Origin": origin})
    assert answer.status_code == 200, answer.content
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    body = answer.json() | {"url": f"ws://127.0.0.1:{port}/ws/realtime/", "cookie": cookie}
    return CookiePage(body, origin=origin)


def logged_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def log_out(browser: Client, user: User) -> None:
    assert browser.post("/accounts/logout/").status_code == 302


def change_password(browser: Client, user: User) -> None:
    new = {"old_password": PASSWORD, "new_password1": "analytical-1843", "new_password2": "analytical-1843"}
    assert browser.post("/accounts/password_change/", new).status_code == 302


def deactivate(browser: Client, user: User) -> None:
    user.is_active = False
    user.save()


def delete_account(browser: Client, user: User) -> None:
    fields = {"action": "delete", "confirmation": user.get_username(), "password": PASSWORD}
    assert browser.post("/account/", fields).status_code == 302


def end_on_page(browser: Client, user: User) -> None:
    session = access.live_sessions(user).get()
    assert browser.post("/account/sessions/", {"session": str(session.pk)}).status_code == 302


def end_by_api(browser: Client, user: User) -> None:
    session = access.live_sessions(user).get()
    assert browser.delete(f"/api/voice/sessions/{session.pk}/").status_code == 204


def end_in_admin(browser: Client, user: User) -> None:
    operator = logged_in(User.objects.create_superuser("operator", "o@example.com", "operator-secret-1"))
    mine = [str(pk) for pk in access.live_sessions(user).values_list("pk", flat=True)]
    chosen = {"action": "end_sessions", "_selected_action": mine}
    assert operator.post("/admin/realtime/realtimesession/", chosen).status_code == 302


@pytest.mark.parametrize(
    "trigger", [log_out, change_password, deactivate, delete_account, end_on_page, end_by_api, end_in_admin]
)
async def test_a_session_ends_at_once_with(
    make_site: Any, ada: User, bob: User, trigger: Callable[[Client, User], None]
) -> None:
    site = await make_site()
    browser = await sync_to_async(logged_in)(ada)
    page = await sync_to_async(mint_with_cookie)(browser, site.port)
    async with page, await site.page(bob) as untouched:
        await page.until("state", state="listening")
        await untouched.until("state", state="listening")
        await sync_to_async(trigger)(browser, ada)
        async with asyncio.timeout(AT_ONCE_S):
            code = await page.until_closed()
            await eventually(
                lambda: sum(one.open for one in site.upstream.connections) == 1
            )  # the other one's
        assert code == (1000 if trigger in (end_on_page, end_by_api) else 4403)
        await untouched.say("ping", t=1)
        await untouched.until("pong")
        await untouched.say("session.end")
        await untouched.until_closed()


async def test_logging_out_leaves_the_sessions_of_other_logins_alone(make_site: Any, ada: User) -> None:
    site = await make_site()
    here, there = await sync_to_async(logged_in)(ada), await sync_to_async(logged_in)(ada)
    async with (
        await sync_to_async(mint_with_cookie)(here, site.port) as ends,
        await sync_to_async(mint_with_cookie)(there, site.port) as stays,
    ):
        await ends.until("state", state="listening")
        await stays.until("state", state="listening")
        await sync_to_async(log_out)(here, ada)
        assert await ends.until_closed() == 4403
        await stays.say("ping", t=1)
        await stays.until("pong")
        await stays.say("session.end")
        await stays.until_closed()


async def test_a_token_minted_with_a_cookie_opens_nothing_without_it(
    make_site: Any, ada: User, bob: User
) -> None:
    site = await make_site()
    browser, another = await sync_to_async(logged_in)(ada), await sync_to_async(logged_in)(bob)
    for cookie in ("", f"sessionid={another.cookies['sessionid'].value}", "sessionid=made-up"):
        page = await sync_to_async(mint_with_cookie)(browser, site.port)
        page.minted["cookie"] = cookie
        with pytest.raises(InvalidStatus):
            await page.connect()
    assert not site.upstream.connections


async def test_a_token_minted_before_logging_out_opens_nothing_after_it(make_site: Any, ada: User) -> None:
    site = await make_site()
    browser = await sync_to_async(logged_in)(ada)
    page = await sync_to_async(mint_with_cookie)(browser, site.port)
    await sync_to_async(log_out)(browser, ada)
    with pytest.raises(InvalidStatus):
        await page.connect()
    assert not site.upstream.connections


async def test_rights_that_are_lost_between_the_token_and_hello_end_the_call_too(
    make_site: Any, ada: User
) -> None:
    """Nobody here had the session yet when the change was told."""
    site = await make_site()
    minted = await site.mint(ada)
    async with connect(minted["url"], subprotocols=["voice.v1", "t." + minted["token"]]) as socket:
        await sync_to_async(deactivate)(Client(), ada)
        await socket.send('{"type": "hello", "uplink_samples": 0}')
        async with asyncio.timeout(AT_ONCE_S):
            await socket.wait_closed()
        assert socket.close_code == 4403
    await eventually(lambda: all(not one.open for one in site.upstream.connections))


async def test_of_two_hundred_sessions_none_survives_a_deactivation_in_the_middle_of_its_beginning(
    make_site: Any, db: None, settings: Any
) -> None:
    """20 accounts with ten sockets each; every account is deactivated while some of its sockets are being opened."""
    settings.REALTIME_MAX_TEXT_SESSIONS_PER_USER = 10
    dice = random.Random(8)
    site = await make_site()
    people = await sync_to_async(
        lambda: [User.objects.create_user(f"person-{number}", password="x") for number in range(20)]
    )()

    def mint_all() -> list[tuple[User, Page]]:
        address = f"ws://127.0.0.1:{site.port}/ws/realtime/"
        return [
            (
                user,
                Page({"token": admission.mint(user=user, origin="", modality="text").token, "url": address}),
            )
            for user in people
            for _ in range(10)
        ]

    pages = await sync_to_async(mint_all)()
    dice.shuffle(pages)
    refused = 0
    closed: list[int | None] = []

    async def talk(page: Page) -> None:
        nonlocal refused
        try:
            await page.connect()
            while True:
                await page.say("ping", t=1)
                await page.until("pong")
        except InvalidStatus:
            refused += 1
        except ConnectionClosed:
            closed.append(page.close_code or await page.until_closed())

    talking = []
    for number, (_user, page) in enumerate(pages):
        talking.append(asyncio.create_task(talk(page)))
        if number % 10 == 5:
            await sync_to_async(deactivate)(Client(), people[number // 10])
    async with asyncio.timeout(15):
        await asyncio.gather(*talking)
    assert refused + len(closed) == 200
    assert set(closed) == {4403}
    assert len(closed) >= 20
    await eventually(lambda: not site.switchboard.relays)
    await eventually(lambda: all(not one.open for one in site.upstream.connections))


class TestAcrossProcesses:
    """What a process that heard no signal finds out when it renews the leases of its sessions."""

    @pytest.fixture
    def session(self, ada: User) -> RealtimeSession:
        """A session of Ada's, begun with a login."""
        browser = logged_in(ada)
        key = browser.session.session_key
        minted = admission.mint(user=ada, origin="", login_key=key)
        admission.redeem(token_text=minted.token, origin="", worker="elsewhere", login_key=key)
        return RealtimeSession.objects.get(pk=minted.session_id)

    def ends(self, session: RealtimeSession) -> dict[Any, str]:
        return leases.renew_leases([session.pk])

    def test_a_session_with_all_its_rights_goes_on(self, session: RealtimeSession) -> None:
        assert self.ends(session) == {}

    def test_a_login_that_is_gone(self, session: RealtimeSession) -> None:
        Login.objects.all().delete()
        assert self.ends(session) == {session.pk: "revoked"}

    def test_a_login_that_ran_out(self, session: RealtimeSession) -> None:
        Login.objects.update(expire_date="2020-01-01T00:00:00Z")
        assert self.ends(session) == {session.pk: "revoked"}

    def test_a_deactivated_account(self, session: RealtimeSession) -> None:
        User.objects.update(is_active=False)
        assert self.ends(session) == {session.pk: "revoked"}

    def test_a_new_password(self, session: RealtimeSession, ada: User) -> None:
        ada.set_password("analytical-1843")
        User.objects.update(password=ada.password)
        assert self.ends(session) == {session.pk: "revoked"}

    def test_an_end_that_was_asked_for(self, session: RealtimeSession) -> None:
        access.end_sessions(RealtimeSession.objects.all(), "person_ended")
        assert self.ends(session) == {session.pk: "person_ended"}

    def test_a_session_of_a_program_needs_no_login(self, ada: User) -> None:
        minted = admission.mint(user=ada, origin="")
        admission.redeem(token_text=minted.token, origin="", worker="elsewhere")
        assert leases.renew_leases([minted.session_id]) == {}


def test_a_token_says_nothing_of_the_login_s_key(ada: User) -> None:
    key = logged_in(ada).session.session_key
    assert key not in admission.mint(user=ada, origin="", login_key=key).token
    assert access.login_mark(key) != key


def test_one_s_own_calls_are_told_by_browser_and_device_and_lead_to_their_conversation(ada: User) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
    for user_agent in (agent, "Python/3.11 websockets/16.1"):
        minted = admission.mint(user=ada, origin="")
        admission.redeem(token_text=minted.token, origin="", worker="w", user_agent=user_agent)
    page = logged_in(ada).get("/account/sessions/").content.decode()
    assert "Chrome 156 · Linux" in page
    assert "a program" in page
    assert "Mozilla" not in page
    assert f'href="/chat/{minted.conversation_id}/"' in page


def test_another_person_s_session_cannot_be_seen_or_ended(ada: User, bob: User) -> None:
    minted = admission.mint(user=ada, origin="")
    admission.redeem(token_text=minted.token, origin="", worker="w")
    his = logged_in(bob)
    assert str(minted.session_id) not in his.get("/account/sessions/").content.decode()
    assert his.get("/api/voice/sessions/").json() == {"results": []}
    assert his.post("/account/sessions/", {"session": str(minted.session_id)}).status_code == 404
    assert his.delete(f"/api/voice/sessions/{minted.session_id}/").status_code == 404
    assert leases.renew_leases([minted.session_id]) == {}
