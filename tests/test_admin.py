"""The admin: who gets in, that history cannot be changed, and that lists stay cheap."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Message, Preferences
from conversations.services import create_conversation, record_message
from realtime.models import RealtimeSession, SessionEvent, Turn, UsageRecord, UsedToken

SECRET = "the turnips are under the shed"
OURS = [Conversation, Preferences, RealtimeSession, Turn, SessionEvent, UsageRecord]
HISTORY = [RealtimeSession, Turn, SessionEvent, UsageRecord]


def list_url(model: type) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def a_session(user: User, conversation: Conversation | None = None) -> RealtimeSession:
    """An ended session of this person with one turn, event and usage row."""
    session = RealtimeSession.objects.create(
        id=uuid4(),
        user=user,
        conversation=conversation,
        modality="voice",
        engine="local",
        model="gpt-realtime",
        ended_at=timezone.now(),
        end_reason="ended",
        auth_hash="a-fingerprint-of-a-login",
    )
    Turn.objects.create(session=session, response_id="resp-1", status="completed", response_latency_ms=3_000)
    SessionEvent.objects.create(session=session, at_ms=5, name="speech.started")
    UsageRecord.objects.create(session=session, meter="response", reference="resp-1", audio_in=7)
    return session


@pytest.fixture
def talk(ada: User) -> Conversation:
    """Ada's conversation with a secret in its title and its message, and a session."""
    conversation = create_conversation(owner=ada, title=SECRET)
    record_message(
        conversation_id=conversation.pk,
        session_id=a_session(ada, conversation).pk,
        item_id="a",
        position=1,
        role="user",
        modality="voice",
        status="completed",
        text=SECRET,
    )
    Preferences.objects.create(owner=ada)
    return conversation


@pytest.fixture
def staff_with(db: None, page_of: Callable[[User], Client]) -> Callable[..., Client]:
    """`staff_with("view_conversation")`: the browser of a member of staff who has just these permissions."""

    def log_in(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff-{uuid4().hex[:6]}", password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        assert user.user_permissions.count() == len(codenames)
        return page_of(user)

    return log_in


@pytest.fixture
def operators(operator: User, page_of: Callable[[User], Client]) -> Client:
    """The browser of a superuser."""
    return page_of(operator)


class TestEntry:
    def test_people_do_not_get_in(self, ada: User, page_of: Callable[[User], Client]) -> None:
        for model in [User, *OURS]:
            assert page_of(ada).get(list_url(model))["Location"].startswith("/admin/login/")

    def test_staff_sees_only_what_it_may(self, talk: Conversation, staff_with: Callable[..., Client]) -> None:
        page = staff_with("view_realtimesession")
        assert page.get(list_url(RealtimeSession)).status_code == 200
        assert page.get(list_url(Conversation)).status_code == 403

    def test_all_of_ours_is_there(self, operators: Client, talk: Conversation) -> None:
        body = operators.get("/admin/").content.decode()
        for model in [User, *OURS]:
            assert list_url(model) in body


class TestContent:
    """What people said is shown to nobody without the permission for it."""

    def test_no_list_shows_it_even_to_a_superuser(self, operators: Client, talk: Conversation) -> None:
        for model in [User, *OURS]:
            answer = operators.get(list_url(model))
            assert answer.status_code == 200
            assert SECRET not in answer.content.decode()

    def test_no_page_shows_a_token_that_is_good_for_somebody_else(self) -> None:
        assert not [model for model in admin.site._registry if model._meta.app_label == "token_blacklist"]

    def test_messages_have_no_list_of_their_own(self) -> None:
        assert not admin.site.is_registered(Message)

    def test_the_page_hides_it_without_the_permission(
        self, talk: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        page = staff_with("view_conversation")
        with CaptureQueriesContext(connection) as queries:
            answer = page.get(f"{list_url(Conversation)}{talk.pk}/change/")
        # The words do not even leave the database, so no error report can hold them.
        assert not any('"text"' in query["sql"] for query in queries)
        body = answer.content.decode()
        assert answer.status_code == 200
        assert "completed" in body  # the message is there, its words are not
        assert SECRET not in body

    def test_a_page_of_nothing_leads_back(self, operators: Client) -> None:
        for model in (Conversation, RealtimeSession):
            for nonsense in ("7", uuid4()):
                assert operators.get(f"{list_url(model)}{nonsense}/change/")["Location"] == "/admin/"

    def test_search_does_not_reach_it(self, operators: Client, talk: Conversation) -> None:
        answer = operators.get(list_url(Conversation), {"q": "turnips"})
        assert str(talk.pk) not in answer.content.decode()

    def test_a_session_shows_neither_words_nor_the_mark_of_the_login(
        self, operators: Client, talk: Conversation
    ) -> None:
        session = RealtimeSession.objects.get()
        body = operators.get(f"{list_url(RealtimeSession)}{session.pk}/change/").content.decode()
        assert SECRET not in body
        assert session.auth_hash not in body
        assert "speech.started" in body
        assert "Beginning:" in body
        assert "resp-1" in body


class TestHistory:
    """What happened cannot be changed, by a superuser either."""

    @pytest.mark.parametrize("model", OURS)
    def test_nothing_can_be_added(self, operators: Client, model: type) -> None:
        assert operators.get(f"{list_url(model)}add/").status_code == 403
        assert operators.post(f"{list_url(model)}add/", {}).status_code == 403

    @pytest.mark.parametrize("model", OURS)
    def test_nothing_can_be_changed(self, operators: Client, talk: Conversation, model: type) -> None:
        row = model._default_manager.get()
        url = f"{list_url(model)}{row.pk}/change/"
        assert operators.get(url).status_code == 200
        before = model._default_manager.values().get()
        assert operators.post(url, {"title": "forged", "model": "forged", "_save": "Save"}).status_code == 403
        assert model._default_manager.values().get() == before

    def test_a_message_cannot_be_changed_through_its_conversation(
        self, operators: Client, talk: Conversation
    ) -> None:
        message = talk.messages.get()
        forged = {
            "messages-TOTAL_FORMS": "1",
            "messages-INITIAL_FORMS": "1",
            "messages-0-id": str(message.pk),
            "messages-0-text": "forged",
        }
        operators.post(f"{list_url(Conversation)}{talk.pk}/change/", forged)
        message.refresh_from_db()
        assert message.text == SECRET

    @pytest.mark.parametrize("model", HISTORY)
    def test_nothing_can_be_deleted_alone(self, operators: Client, talk: Conversation, model: type) -> None:
        row = model._default_manager.get()
        assert operators.post(f"{list_url(model)}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        operators.post(list_url(model), chosen)
        assert model._default_manager.filter(pk=row.pk).exists()

    def test_it_goes_with_the_account(self, operators: Client, talk: Conversation, ada: User) -> None:
        UsedToken.objects.create(jti="t", session_id=RealtimeSession.objects.get().pk)
        answer = operators.post(f"/admin/auth/user/{ada.pk}/delete/", {"post": "yes"})
        assert answer.status_code == 302
        assert not User.objects.filter(pk=ada.pk).exists()
        for model in [*OURS, Message, UsedToken]:
            assert not model._default_manager.exists(), model

    def test_a_conversation_goes_with_its_messages_while_its_sessions_stay(
        self, operators: Client, talk: Conversation
    ) -> None:
        operators.post(f"{list_url(Conversation)}{talk.pk}/delete/", {"post": "yes"})
        assert not Conversation.objects.exists()
        assert not Message.objects.exists()
        assert RealtimeSession.objects.get().conversation is None

    def test_several_conversations_go_with_their_messages(
        self, operators: Client, talk: Conversation, ada: User
    ) -> None:
        other, stays = (Conversation.objects.create(owner=ada) for _ in range(2))
        chosen = {"action": "delete_selected", "_selected_action": [talk.pk, other.pk], "post": "yes"}
        operators.post(list_url(Conversation), chosen)
        assert Conversation.objects.get() == stays
        assert not Message.objects.exists()

    def test_it_goes_with_several_accounts(
        self, operators: Client, talk: Conversation, ada: User, bob: User
    ) -> None:
        a_session(bob)
        chosen = {"action": "delete_selected", "_selected_action": [ada.pk, bob.pk], "post": "yes"}
        operators.post("/admin/auth/user/", chosen)
        assert list(User.objects.values_list("username", flat=True)) == ["operator"]
        assert not RealtimeSession.objects.exists()


class TestFilters:
    def test_sessions_by_state(self, operators: Client, ada: User) -> None:
        now = timezone.now()
        live, stale, ended = a_session(ada), a_session(ada), a_session(ada)
        RealtimeSession.objects.filter(pk=live.pk).update(
            ended_at=None, lease_until=now + timedelta(minutes=1)
        )
        RealtimeSession.objects.filter(pk=stale.pk).update(
            ended_at=None, lease_until=now - timedelta(minutes=1)
        )
        for state, session in {"live": live, "stale": stale, "ended": ended}.items():
            answer = operators.get(list_url(RealtimeSession), {"state": state})
            assert [row.pk for row in answer.context["cl"].result_list] == [session.pk]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("started_at_from=2026-03-02", [2, 3]),
            ("started_at_to=2026-03-02", [1, 2]),
            ("started_at_from=2026-03-02&started_at_to=2026-03-02", [2]),
            ("started_at_from=2026-03-04", []),
            *(
                (f"started_at_from={nonsense}", [1, 2, 3])
                for nonsense in ("", "yesterday", "9999-12-31", "%00")
            ),
        ],
    )
    def test_sessions_of_some_days_both_included(
        self, operators: Client, ada: User, query: str, found: list[int]
    ) -> None:
        for day, hour in ((1, 23), (2, 0), (3, 0)):
            row = RealtimeSession.objects.filter(pk=a_session(ada).pk)
            row.update(started_at=datetime(2026, 3, day, hour, 59 * (hour // 23), tzinfo=UTC))
        answer = operators.get(f"{list_url(RealtimeSession)}?{query}")
        assert answer.status_code == 200
        assert sorted(row.started_at.day for row in answer.context["cl"].result_list) == found

    def test_the_form_for_days_keeps_the_other_filters(self, operators: Client, ada: User) -> None:
        query = {"state": "ended", "q": "ada", "started_at_from": "2026-03-02"}
        body = operators.get(list_url(RealtimeSession), query).content.decode()
        form = body.partition('class="voice-days"')[2].partition("</form>")[0]
        assert 'type="hidden" name="state" value="ended"' in form
        assert 'type="hidden" name="q" value="ada"' in form
        assert 'name="started_at_from" value="2026-03-02"' in form

    def test_slow_turns(self, operators: Client, ada: User) -> None:
        slow = a_session(ada).turn_rows.get()
        Turn.objects.create(
            session=slow.session, response_id="quick", status="completed", response_latency_ms=300
        )
        answer = operators.get(list_url(Turn), {"slow": "yes"})
        assert list(answer.context["cl"].result_list) == [slow]

    def test_conversations_by_state(self, operators: Client, ada: User) -> None:
        now = timezone.now()
        rows = {
            "listed": create_conversation(owner=ada),
            "archived": Conversation.objects.create(owner=ada, archived_at=now),
            "deleted": Conversation.objects.create(owner=ada, deleted_at=now),
        }
        for state, conversation in rows.items():
            answer = operators.get(list_url(Conversation), {"state": state})
            assert list(answer.context["cl"].result_list) == [conversation]

    @pytest.mark.parametrize("model", OURS)
    def test_search_finds_by_the_name_of_the_user(
        self, operators: Client, talk: Conversation, model: type
    ) -> None:
        assert operators.get(list_url(model), {"q": "ada"}).context["cl"].result_count == 1
        assert operators.get(list_url(model), {"q": "nobody"}).context["cl"].result_count == 0

    @pytest.mark.parametrize("term", ["\x00", "nobody", "%_'\"\\", str(UUID(int=7)), "x" * 500])
    def test_no_list_breaks_over_what_is_searched(self, operators: Client, term: str) -> None:
        for model in admin.site._registry:
            assert operators.get(list_url(model), {"q": term}).status_code == 200, model

    @pytest.mark.parametrize("model", [Conversation, *HISTORY])
    def test_search_by_an_id_or_by_nonsense(self, operators: Client, talk: Conversation, model: type) -> None:
        owner_id = talk.pk if model is Conversation else RealtimeSession.objects.get().pk
        assert operators.get(list_url(model), {"q": str(owner_id)}).context["cl"].result_count == 1
        assert operators.get(list_url(model), {"q": "not-an-id"}).status_code == 200


class TestCost:
    """Lists and pages ask as few questions about many rows as about few."""

    @pytest.mark.parametrize("model", HISTORY)
    def test_no_list_counts_all_rows_for_every_choice_of_a_filter(
        self, operators: Client, talk: Conversation, model: type
    ) -> None:
        answer = operators.get(list_url(model), {"_facets": "True"})
        assert answer.context["cl"].add_facets is False
        assert "Show counts" not in answer.content.decode()

    @pytest.mark.parametrize("model", [User, *OURS])
    def test_of_lists(
        self, operators: Client, model: type, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(60):
            user = User.objects.create(username=f"user-{number}")
            Preferences.objects.create(owner=user)
            a_session(user, create_conversation(owner=user))
        operators.get(list_url(model))  # content types are asked for once a process
        with django_assert_max_num_queries(10):
            operators.get(list_url(model))

    def test_of_a_conversation_with_a_thousand_messages(
        self, operators: Client, talk: Conversation, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        Message.objects.bulk_create(
            Message(
                conversation=talk,
                session_id=uuid4(),
                item_id=str(number),
                position=number,
                role="user",
                modality="text",
                status="completed",
                text=f"number {number}",
            )
            for number in range(2, 1_002)
        )
        with django_assert_max_num_queries(10):
            body = operators.get(f"{list_url(Conversation)}{talk.pk}/change/").content.decode()
        shown = {int(position) for position in re.findall(r'field-position">\s*<p>(\d+)</p>', body)}
        assert shown == set(range(802, 1_002))

    def test_of_a_session_with_a_thousand_events(
        self, operators: Client, ada: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        session = a_session(ada)
        SessionEvent.objects.bulk_create(
            SessionEvent(session=session, at_ms=number, name=f"event-{number}") for number in range(1_000)
        )
        with django_assert_max_num_queries(16):
            body = operators.get(f"{list_url(RealtimeSession)}{session.pk}/change/").content.decode()
        assert "event-100<" in body
        assert "event-900<" not in body
