"""The REST API of conversations, messages and preferences: shapes, pages, errors."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from conversations.models import Conversation, Message
from conversations.services import archive_conversation, delete_conversation
from tests.conversations.conftest import say

ApiOf = Callable[[User], APIClient]


@pytest.fixture
def api(ada: User, api_of: ApiOf) -> APIClient:
    """Ada's program."""
    return api_of(ada)


def messages_url(conversation: Conversation) -> str:
    return f"/api/conversations/{conversation.pk}/messages/"


class TestConversations:
    def test_a_new_one_can_be_listed_and_read(self, api: APIClient, ada: User) -> None:
        made = api.post("/api/conversations/", {}, format="json")
        assert made.status_code == 201
        assert set(made.json()) == {"id", "title", "created_at", "updated_at", "archived", "keep"}
        assert api.get("/api/conversations/").json() == {"results": [made.json()], "next": None}
        assert api.get(f"/api/conversations/{made.json()['id']}/").json() == made.json()
        assert Conversation.objects.get().owner == ada

    def test_it_may_begin_with_a_title(self, api: APIClient) -> None:
        assert api.post("/api/conversations/", {"title": "Bread"}, format="json").json()["title"] == "Bread"

    def test_changing_title_and_archive(self, api: APIClient, talk: Conversation) -> None:
        url = f"/api/conversations/{talk.pk}/"
        changed = api.patch(url, {"title": "Bread", "archived": True}, format="json").json()
        assert (changed["title"], changed["archived"]) == ("Bread", True)
        assert api.patch(url, {"keep": "audio"}, format="json").json()["keep"] == "audio"
        assert api.patch(url, {"keep": "all"}, format="json").status_code == 400
        assert api.patch(url, {"keep": "transcript"}, format="json").json() == changed
        assert api.patch(url, {"archived": False}, format="json").json() == changed | {"archived": False}

    def test_archived_ones_have_their_own_list(self, api: APIClient, talk: Conversation) -> None:
        archive_conversation(conversation=talk)
        assert api.get("/api/conversations/").json()["results"] == []
        assert [row["id"] for row in api.get("/api/conversations/?archived=true").json()["results"]] == [
            str(talk.pk)
        ]

    def test_deleting_and_restoring(self, api: APIClient, talk: Conversation) -> None:
        url = f"/api/conversations/{talk.pk}/"
        deleted = api.delete(url)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert api.get(url).status_code == 404
        assert api.delete(url).status_code == 404
        assert api.get("/api/conversations/").json()["results"] == []
        assert api.get(messages_url(talk)).status_code == 404
        assert api.post(url + "restore/").json()["id"] == str(talk.pk)
        assert api.get(url).status_code == 200

    def test_search_looks_into_titles_and_messages(
        self, api: APIClient, talk: Conversation, ada: User
    ) -> None:
        say(talk, text="Bread needs time")
        titled = Conversation.objects.create(owner=ada, title="Breadcrumbs")
        Conversation.objects.create(owner=ada, title="Cake")
        found = {row["id"] for row in api.get("/api/conversations/", {"q": "bread"}).json()["results"]}
        assert found == {str(talk.pk), str(titled.pk)}

    def test_the_pages_hold_every_conversation_once_latest_first(
        self, api: APIClient, begin_many: Callable[[int], list[Conversation]]
    ) -> None:
        made = begin_many(120)
        now = timezone.now()
        for number, conversation in enumerate(made):
            # Pairs share their time: the cursor must not lose one of two.
            conversation.updated_at = now - timedelta(minutes=number // 2)
        Conversation.objects.bulk_update(made, ["updated_at"])
        following, rows = "/api/conversations/", []
        while following:
            page = api.get(following).json()
            rows += page["results"]
            following = page["next"]
            assert following is None or following.startswith("/api/conversations/?")
        assert len(rows) == 120
        assert {row["id"] for row in rows} == {str(conversation.pk) for conversation in made}
        assert [row["updated_at"] for row in rows] == sorted(
            (row["updated_at"] for row in rows), reverse=True
        )

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"archived": "perhaps"}, "archived"),
            ({"q": "x" * 201}, "q"),
            ({"q": "a\x00b"}, "q"),
            ({"cursor": "w"}, "cursor"),
            ({"cursor": "cD1ub3QtYS1kYXRl"}, "cursor"),  # a position that is no date
            ({"cursor": b64encode(b"p=0001-01-01T00:00:00+23:59").decode()}, "cursor"),
        ],
    )
    def test_a_wrong_query_is_named(
        self, api: APIClient, talk: Conversation, query: dict[str, str], field: str
    ) -> None:
        answer = api.get("/api/conversations/", query)
        assert answer.status_code == 400
        assert list(answer.json()) == [field]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"title": "x" * 121}, "title"),
            ({"title": None}, "title"),
            ({"title": ["a"]}, "title"),
            ({"title": "a\x00"}, "title"),
            ({"archived": "perhaps"}, "archived"),
            ([], "non_field_errors"),
        ],
    )
    def test_a_wrong_change_is_named_and_nothing_changes(
        self, api: APIClient, talk: Conversation, changes: Any, field: str
    ) -> None:
        answer = api.patch(f"/api/conversations/{talk.pk}/", changes, format="json")
        assert answer.status_code == 400
        assert list(answer.json()) == [field]
        talk.refresh_from_db()
        assert (talk.title, talk.archived_at) == ("", None)

    def test_other_fields_are_not_for_setting(self, api: APIClient, talk: Conversation, bob: User) -> None:
        forged = {"id": str(uuid4()), "owner": bob.pk, "deleted_at": "2020-01-01T00:00:00Z", "title": "Mine"}
        api.patch(f"/api/conversations/{talk.pk}/", forged, format="json")
        stored = Conversation.objects.get()
        assert (stored.pk, stored.owner, stored.deleted_at) == (talk.pk, talk.owner, None)


class TestMessages:
    def test_the_shape_of_a_message(self, api: APIClient, talk: Conversation) -> None:
        message = say(talk, role="assistant", text="*One* <two>", client_id="")
        row = api.get(messages_url(talk)).json()["results"][0]
        assert row == api.get(f"{messages_url(talk)}{message.pk}/").json()
        assert row.pop("created_at").startswith(str(timezone.now().year))
        assert row == {
            "id": str(message.pk),
            "item_id": message.item_id,
            "client_id": "",
            "position": 1,
            "role": "assistant",
            "modality": "text",
            "status": "completed",
            "text": "*One* <two>",
            "html": "<p><em>One</em> &lt;two&gt;</p>\n",
            "heard_chars": None,
            "heard_ms": None,
            "generated_ms": None,
            "audio_ms": None,
            "unsure": False,
        }

    @pytest.mark.parametrize(
        ("changes", "html"),
        [
            ({"role": "user"}, "*a* &lt;b&gt;"),
            ({"role": "user", "modality": "voice"}, "*a* &lt;b&gt;"),
            ({"role": "assistant", "modality": "voice"}, "*a* &lt;b&gt;"),
            (
                {"role": "assistant", "modality": "voice", "status": "interrupted", "heard_chars": 3},
                '<span class="heard">*a*</span><span class="unheard"> &lt;b&gt;</span>',
            ),
            ({"role": "assistant", "modality": "voice", "status": "interrupted"}, "*a* &lt;b&gt;"),
            (
                {"role": "assistant", "modality": "text", "status": "interrupted"},
                "<p><em>a</em> &lt;b&gt;</p>\n",
            ),
        ],
    )
    def test_only_typed_answers_are_markdown(
        self, api: APIClient, talk: Conversation, changes: dict[str, Any], html: str
    ) -> None:
        say(talk, text="*a* <b>", **changes)
        assert api.get(messages_url(talk)).json()["results"][0]["html"] == html

    def test_pages_go_back_from_the_end(self, api: APIClient, many_messages: Conversation) -> None:
        url, before, positions = messages_url(many_messages), None, []
        while True:
            query = {"limit": 200} if before is None else {"limit": 200, "before": before}
            page = api.get(url, query).json()
            positions = [row["position"] for row in page["results"]] + positions
            before = page["before"]
            if before is None:
                break
        assert positions == list(range(1, 1_001))

    def test_a_page_has_fifty_unless_asked(self, api: APIClient, many_messages: Conversation) -> None:
        page = api.get(messages_url(many_messages)).json()
        assert [row["position"] for row in page["results"]] == list(range(951, 1_001))
        assert page["before"] == 951

    @pytest.mark.parametrize(
        "query",
        [{"before": "x"}, {"before": -1}, {"before": 2**63}, {"limit": 0}, {"limit": 201}, {"limit": "all"}],
    )
    def test_a_wrong_query_is_named(self, api: APIClient, talk: Conversation, query: dict[str, Any]) -> None:
        answer = api.get(messages_url(talk), query)
        assert answer.status_code == 400
        assert list(answer.json()) == list(query)

    def test_a_message_of_another_conversation_is_not_found(
        self, api: APIClient, talk: Conversation, ada: User
    ) -> None:
        message = say(Conversation.objects.create(owner=ada))
        assert api.get(f"{messages_url(talk)}{message.pk}/").status_code == 404

    def test_a_message_of_a_deleted_conversation_is_not_found(
        self, api: APIClient, talk: Conversation
    ) -> None:
        message = say(talk)
        delete_conversation(conversation=talk)
        assert api.get(f"{messages_url(talk)}{message.pk}/").status_code == 404

    def test_messages_cannot_be_written(self, api: APIClient, talk: Conversation) -> None:
        message = say(talk)
        for method in (api.post, api.put, api.patch, api.delete):
            assert (
                method(f"{messages_url(talk)}{message.pk}/", {"text": "forged"}, format="json").status_code
                == 405
            )
        assert Message.objects.get().text == "Hello"


class TestPreferences:
    url = "/api/preferences/"
    defaults = {
        "voice": "",
        "turn_preset": "normal",
        "turn_custom": {},
        "speed": 1.0,
        "interruptible": True,
        "noise_reduction": "near_field",
        "speech_language": "",
        "answers": "spoken",
        "end_after_sec": 0,
        "captions": True,
        "caption_style": "all",
        "language": "",
        "theme": "system",
        "keep": "transcript",
    }

    def test_they_begin_with_the_defaults(self, api: APIClient) -> None:
        assert api.get(self.url).json() == self.defaults

    def test_each_can_be_changed_alone(self, api: APIClient) -> None:
        wanted = {
            "voice": "cedar",
            "turn_preset": "push_to_talk",
            "turn_custom": {"type": "semantic_vad", "eagerness": "low"},
            "speed": 1.25,
            "interruptible": False,
            "noise_reduction": "far_field",
            "speech_language": "any",
            "answers": "written",
            "end_after_sec": 60,
            "captions": False,
            "caption_style": "large",
            "language": "de",
            "theme": "dark",
            "keep": "nothing",
        }
        for name, value in wanted.items():
            assert api.patch(self.url, {name: value}, format="json").json()[name] == value
        assert api.get(self.url).json() == wanted

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *[
                ("voice", "darth"),
                ("voice", None),
                ("turn_preset", ""),
                ("turn_preset", "loud"),
                ("captions", 7),
            ],
            *[("speed", 3), ("noise_reduction", "loud"), ("speech_language", "tlh"), ("answers", "sung")],
            *[
                ("end_after_sec", 7),
                ("caption_style", ""),
                ("turn_custom", []),
                ("turn_custom", {"type": "none"}),
            ],
            ("turn_custom", {"type": "server_vad", "threshold": 1.5}),
            ("turn_custom", {"type": "server_vad", "silence_duration_ms": 1}),
            *[("language", "tlh"), ("theme", "pink"), ("theme", ["dark"]), ("keep", "everything")],
        ],
    )
    def test_what_is_not_on_the_list_is_refused(self, api: APIClient, name: str, value: Any) -> None:
        answer = api.patch(self.url, {name: value}, format="json")
        assert answer.status_code == 400
        assert list(answer.json()) == [name]
        assert api.get(self.url).json() == self.defaults


def test_a_restored_conversation_that_was_not_deleted_is_left_alone(
    api: APIClient, talk: Conversation
) -> None:
    assert api.post(f"/api/conversations/{talk.pk}/restore/").status_code == 200


def test_a_wrong_address_is_answered_in_json(api: APIClient) -> None:
    for path in ("/api/nothing/", "/api/conversations", "/api/conversations/7/"):
        answer = api.post(path, {}, format="json")
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize(
    "path", ["conversations/", "preferences/", "export/", "conversations/{}/", "conversations/?cursor=!"]
)
def test_no_answer_is_kept_by_browsers_or_proxies(api: APIClient, path: str) -> None:
    assert api.get("/api/" + path.format(uuid4()))["Cache-Control"] == "no-store"


def test_a_deleted_conversation_of_ones_own_cannot_be_changed(api: APIClient, talk: Conversation) -> None:
    delete_conversation(conversation=talk)
    assert api.patch(f"/api/conversations/{talk.pk}/", {"title": "x"}, format="json").status_code == 404
