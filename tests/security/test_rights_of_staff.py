"""Staff who may change people take over nobody's account, and give themselves no right: that is for superusers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

FORGED = {
    "username": "ada", "email": "mine@example.com", "first_name": "Ada", "is_active": "on", "is_staff": "on",
    "is_superuser": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "_save": "Save",
}  # fmt: skip


@pytest.fixture
def helper(db: None, page_of: Callable[[User], Client]) -> Client:
    """The browser of staff who may see, change and delete people, and no more."""
    person = User.objects.create_user("helper", password="x", is_staff=True)
    wanted = ["view_user", "change_user", "delete_user"]
    person.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return page_of(person)


def change(browser: Client, user: User, **more: Any) -> int:
    rights = [str(pk) for pk in Permission.objects.values_list("pk", flat=True)[:3]]
    fields = {**FORGED, "username": user.username, "user_permissions": rights, **more}
    return int(browser.post(f"/admin/auth/user/{user.pk}/change/", fields).status_code)


def test_they_change_a_name_and_neither_rights_nor_the_address(helper: Client, ada: User) -> None:
    assert change(helper, ada) == 302
    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert (ada.email, ada.is_staff, ada.is_superuser) == ("ada@example.com", False, False)
    assert not ada.user_permissions.exists()


def test_they_set_nobody_s_password(helper: Client, ada: User) -> None:
    new = {"password1": "analytical-1843", "password2": "analytical-1843", "usable_password": "true"}
    address = f"/admin/auth/user/{ada.pk}/password/"
    assert [helper.get(address).status_code, helper.post(address, new).status_code] == [403, 403]
    ada.refresh_from_db()
    assert ada.check_password("ada-secret-1815")


def test_they_neither_change_nor_delete_other_staff_or_themselves(helper: Client, operator: User) -> None:
    own = User.objects.get(username="helper")
    for staff in (operator, own):
        assert change(helper, staff) == 403
        assert helper.post(f"/admin/auth/user/{staff.pk}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [staff.pk], "post": "yes"}
        helper.post("/admin/auth/user/", chosen)
    operator.refresh_from_db()
    assert operator.email == "operator@example.com"
    assert own.user_permissions.count() == 3


def test_a_superuser_gives_rights(operator: User, ada: User, page_of: Callable[[User], Client]) -> None:
    assert change(page_of(operator), ada) == 302
    ada.refresh_from_db()
    assert (ada.email, ada.is_staff, ada.is_superuser) == ("mine@example.com", True, True)
