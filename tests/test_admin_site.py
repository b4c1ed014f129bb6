"""The admin as a whole: lists that answer to whatever is in their address, and a front page that says how it stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import DataError
from django.test import Client
from django.utils import timezone

from realtime.models import ProbeRun, RealtimeSession
from voiceproject.admin_site import CarefulChangeList

LIST = "/admin/realtime/realtimesession/"


@pytest.fixture
def operators(operator: User, page_of: Callable[[User], Client]) -> Client:
    """The browser of a superuser."""
    return page_of(operator)


def session_of(user: User, **fields: object) -> RealtimeSession:
    kept = {"modality": "voice", "engine": "local", "model": "m", **fields}
    return RealtimeSession.objects.create(id=uuid4(), user=user, **kept)


class TestAbsurdFilters:
    @pytest.mark.parametrize(
        "query",
        [
            *("started_at__year=99999", "started_at__year=0", "started_at__gte=9999-99-99"),
            *("user_id=99999999999999999999999", "id__regex=(", "worker__iregex=[", "cost_usd__gte=much"),
            *("nothing=1", "id=7"),
        ],
    )
    def test_one_that_cannot_be_looked_up_leads_to_the_whole_list_and_says_so(
        self, operators: Client, ada: User, query: str
    ) -> None:
        session_of(ada)
        answer = operators.get(f"{LIST}?{query}", follow=True)
        assert answer.redirect_chain == [(f"{LIST}?e=1", 302)]
        assert answer.context["cl"].result_count == 1
        assert "Nothing can be found in this way" in answer.content.decode()

    def test_every_list_has_such_an_answer_whoever_registered_it(self, operators: Client) -> None:
        for model in admin.site._registry:
            address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            answer = operators.get(f"{address}?{model._meta.pk.name}__regex=(")
            assert (answer.status_code, answer["Location"]) == (302, f"{address}?e=1"), model

    @pytest.mark.parametrize(
        ("query", "shown"),
        [
            ("realtime/budget/add/?user=99999999999999999999999&period=day", 'value="day" selected'),
            ("realtime/ratecard/add/?valid_from=x&model=new-model", 'value="new-model"'),
            ("realtime/ratecard/add/?valid_from=2026-03-02", 'value="2026-03-02"'),
            ("auth/group/add/?permissions=1,2&name=some", 'value="some"'),
        ],
    )
    def test_a_form_leaves_out_what_no_column_can_hold(
        self, operators: Client, query: str, shown: str
    ) -> None:
        answer = operators.get(f"/admin/{query}")
        assert answer.status_code == 200
        assert shown in answer.content.decode()

    def test_what_may_not_be_asked_is_still_refused(self, operators: Client) -> None:
        answer = operators.get(f"{LIST}?auth_hash__startswith=a")
        assert answer.status_code == 400
        assert "This cannot be asked for" in answer.content.decode()

    def test_a_list_without_a_filter_does_not_hide_what_is_wrong(
        self, operators: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_args: object) -> None:
            raise DataError

        monkeypatch.setattr(CarefulChangeList.__mro__[1], "get_results", broken)
        assert operators.get(f"{LIST}?turns=1")["Location"] == f"{LIST}?e=1"
        with pytest.raises(DataError):
            operators.get(LIST)


class TestFrontPage:
    def test_it_says_how_things_stand_and_leads_on(self, operators: Client, ada: User) -> None:
        now = timezone.now()
        session_of(ada, lease_until=now + timedelta(minutes=1))
        session_of(ada, ended_at=now, end_reason="upstream_auth")
        run = ProbeRun.objects.create(ok=False, fault="auth_401", url="u", model="m", total_ms=3, stages=[])
        answer = operators.get("/admin/")
        assert (answer.context["voice"]["live"], answer.context["voice"]["sums"].sessions) == (1, 2)
        body = answer.content.decode()
        for address in (
            *(f"{LIST}dashboard/", "/admin/realtime/usagerecord/totals/", f"{LIST}?state=live"),
            f"/admin/realtime/proberun/{run.pk}/change/",
        ):
            assert f'href="{address}"' in body
            assert operators.get(address).status_code == 200
        assert "auth_401" in body

    def test_who_may_not_see_sessions_sees_none_of_it(
        self, db: None, page_of: Callable[[User], Client]
    ) -> None:
        clerk = User.objects.create_user("clerk", is_staff=True)
        clerk.user_permissions.set(Permission.objects.filter(codename="view_user"))
        answer = page_of(clerk).get("/admin/")
        assert answer.status_code == 200
        assert "voice" not in answer.context

    def test_tables_of_a_library_are_named_by_what_they_hold(self, operators: Client) -> None:
        body = operators.get("/admin/").content.decode()
        assert "Wrong passwords" in body
        assert "Axes" not in body
