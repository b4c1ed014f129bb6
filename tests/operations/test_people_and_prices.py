"""What an operator sees of a person, of budgets and of prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from realtime.models import Budget, RateCard, RealtimeSession, Turn, UsageRecord
from tests.operations.test_inspection import LIST, a_session


class TestPerson:
    """The page of a person in the admin: what they used, what they may use, and how to change it."""

    def test_it_says_what_was_used_of_which_budget(self, operators: Client, ada: User, bob: User) -> None:
        session = a_session(ada, cost_usd=Decimal("0.25"))
        now = timezone.now()
        RealtimeSession.objects.filter(pk=session.pk).update(
            started_at=now - timedelta(minutes=3), ended_at=now
        )
        UsageRecord.objects.create(session=session, meter="response", reference="r", model="m", usd="0.25")
        Budget.objects.create(scope="each", period="month", minutes=60)
        Budget.objects.create(scope="one", user=ada, period="day", usd=1)
        body = operators.get(f"/admin/auth/user/{ada.pk}/change/").content.decode()
        assert "1 calls, 3.0 minutes, $0.2500" in body
        assert "Day, of this person: 25 % used, $0.75 of $1.00 left" in body
        assert "Month, of this person: 5 % used, 57.0 of 60 minutes left" in body
        assert f"/admin/realtime/budget/add/?scope=one&amp;user={ada.pk}" in body
        assert "/admin/realtime/realtimesession/?q=ada" in body
        assert (
            "Give a budget of their own"
            in operators.get(f"/admin/auth/user/{bob.pk}/change/").content.decode()
        )

    def test_a_new_person_has_used_nothing_and_needs_no_page_of_it(self, operators: Client) -> None:
        answer = operators.get("/admin/auth/user/add/")
        assert answer.status_code == 200
        assert "used so far" not in answer.content.decode()

    def test_a_budget_says_what_was_used_of_it(self, operators: Client, ada: User) -> None:
        session = a_session(ada, cost_usd=Decimal("0.25"))
        now = timezone.now()
        RealtimeSession.objects.filter(pk=session.pk).update(
            started_at=now - timedelta(minutes=3), ended_at=now
        )
        url = "/admin/realtime/budget/"
        for scope, user, used in (
            ("one", ada, "3.0 minutes, $0.2500"),
            ("site", None, "3.0 minutes, $0.2500"),
            ("each", None, "–"),
        ):
            budget = Budget.objects.create(scope=scope, user=user, period="month", usd=1)
            assert (
                f'<div class="readonly">{used}</div>'
                in operators.get(f"{url}{budget.pk}/change/").content.decode()
            )
        assert operators.get(f"{url}add/?scope=one&user={ada.pk}").status_code == 200

    def test_lists_lead_to_the_session(self, operators: Client, ada: User) -> None:
        session = a_session(ada)
        Turn.objects.create(session=session, response_id="r", status="completed")
        body = operators.get("/admin/realtime/turn/").content.decode()
        assert f'<a href="{LIST}{session.pk}/change/">{session.pk}</a>' in body


class TestPrices:
    def test_a_card_can_be_added_and_not_changed(self, operators: Client) -> None:
        url = "/admin/realtime/ratecard/"
        fields = {
            "engine": "openai",
            "model": "new",
            "valid_from_0": "2026-12-01",
            "valid_from_1": "00:00",
            "text_in": "1",
        }
        assert operators.post(f"{url}add/", fields).status_code == 302
        card = RateCard.objects.get(model="new")
        assert operators.post(f"{url}{card.pk}/change/", {**fields, "text_in": "2"}).status_code == 403
        assert operators.post(f"{url}{card.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_usage_is_exported_from_its_list(self, operators: Client, ada: User) -> None:
        row = UsageRecord.objects.create(session=a_session(ada), meter="response", reference="r", usd="0.5")
        for action, part in (("export_csv", "reference,"), ("export_jsonl", '"reference": "r"')):
            chosen = {"action": action, "_selected_action": [row.pk]}
            answer = operators.post("/admin/realtime/usagerecord/", chosen)
            assert "attachment" in answer["Content-Disposition"]
            assert part in answer.content.decode()
