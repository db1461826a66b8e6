"""Who may do what: the written table, the decorator, and every page of this room held to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import URLPattern, reverse

from leads import access
from leads.access import ADMIN, MARKETER, MAY, ROLES, SALES
from leads.models import CustomField
from leads.urls import urlpatterns
from leads.views.settings import RIGHT_WORDS
from tests.makers import make_company, make_contact, make_deal, make_owner, make_user

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).resolve().parents[2] / "docs" / "people-and-rights.md"


def test_the_documented_table_is_the_one_that_decides() -> None:
    written = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if found := re.fullmatch(r"`(\w+)`", cells[0]):
            roles = {role for role, cell in zip((MARKETER, SALES, ADMIN), cells[2:5], strict=True) if cell == "yes"}
            written[found[1]] = frozenset(roles)
    assert written == MAY


def test_the_settings_page_tells_every_right() -> None:
    assert set(RIGHT_WORDS) == set(MAY)


def test_roles_decide() -> None:
    marketer, sales, admin = make_user(MARKETER), make_user(SALES), make_user(ADMIN)
    assert [access.can(user, "import") for user in (marketer, sales, admin)] == [True, False, True]
    assert [access.can(user, "answer") for user in (marketer, sales, admin)] == [False, True, True]
    assert [access.can(user, "configure") for user in (marketer, sales, admin)] == [False, False, True]


def test_nobody_without_a_role_sees_anything() -> None:
    assert not any(access.can(make_user(""), what) for what in MAY)
    assert not any(access.can(AnonymousUser(), what) for what in MAY)


def test_somebody_who_left_may_nothing() -> None:
    user = make_user(ADMIN)
    user.is_active = False
    assert access.roles_of(user) == frozenset()


def test_a_superuser_is_an_admin() -> None:
    user = make_user("")
    user.is_superuser = True
    assert access.roles_of(user) == {ADMIN}
    assert access.can(user, "configure")


def test_a_group_of_another_name_gives_nothing() -> None:
    assert access.roles_of(make_user("Finance")) == frozenset()


def test_an_unknown_right_fails_at_once() -> None:
    with pytest.raises(KeyError):
        access.can(make_user(ADMIN), "fly")
    with pytest.raises(KeyError):
        access.require("fly")


def test_demand_refuses() -> None:
    access.demand(make_user(MARKETER), "export")
    with pytest.raises(PermissionDenied):
        access.demand(make_user(SALES), "export")


SEE = dict.fromkeys(ROLES, 200)
WRITE = {MARKETER: 200, SALES: 403, ADMIN: 200}
CONFIGURE = {MARKETER: 403, SALES: 403, ADMIN: 200}
PAGES: dict[str, dict[str, int]] = {
    "home": SEE,
    "search": SEE,
    "leads:contact-list": SEE,
    "leads:contact-filters": SEE,
    "leads:contact-new": SEE,
    "leads:contact-export": WRITE,
    "leads:company-options": SEE,
    "leads:contact-detail": SEE,
    "leads:contact-facts": dict.fromkeys(ROLES, 302),
    "leads:contact-panels": dict.fromkeys(ROLES, 302),
    "leads:contact-timeline": SEE,
    "leads:contact-delete": WRITE,
    "leads:contact-merge": WRITE,
    "leads:company-list": SEE,
    "leads:company-detail": SEE,
    "leads:company-edit": SEE,
    "leads:deal-list": SEE,
    "leads:deal-detail": SEE,
    "leads:settings": CONFIGURE,
    "leads:field-list": CONFIGURE,
    "leads:field-new": CONFIGURE,
    "leads:tag-list": CONFIGURE,
    "leads:stage-list": CONFIGURE,
    "leads:owner-list": CONFIGURE,
    "leads:owner-new": CONFIGURE,
    "leads:user-list": CONFIGURE,
    "leads:user-new": CONFIGURE,
    "leads:audit-list": CONFIGURE,
    "leads:contact-consent": SEE,
    "leads:purpose-list": CONFIGURE,
    "leads:purpose-new": CONFIGURE,
    "leads:suppression-list": CONFIGURE,
    "leads:website-edit": CONFIGURE,
    "leads:suppression-export": CONFIGURE,
    "leads:contact-request": CONFIGURE,
    "leads:request-list": CONFIGURE,
}
ONE = {
    "leads:contact-detail",
    "leads:contact-facts",
    "leads:contact-panels",
    "leads:contact-timeline",
    "leads:contact-delete",
    "leads:contact-merge",
    "leads:contact-consent",
    "leads:contact-request",
    "leads:company-detail",
    "leads:company-edit",
    "leads:deal-detail",
}


# Only posted to, of one object of Settings (below), or of the import, which has tests of its own.
ELSEWHERE = {
    "contact-columns",
    "contact-bulk",
    "contact-bulk-value",
    "contact-stage",
    "field-edit",
    "field-delete",
    "tag-edit",
    "owner-edit",
    "user-edit",
    "purpose-edit",
    "purpose-archive",
    "suppression-release",
    "suppression-import",
    "request-detail",
    "request-file",
}


def test_every_address_of_the_room_is_held_to_the_table() -> None:
    names = {pattern.name for pattern in urlpatterns if isinstance(pattern, URLPattern)}
    assert names == {name.removeprefix("leads:") for name in PAGES if name.startswith("leads:")} | ELSEWHERE


@pytest.mark.parametrize("kind", ["field", "owner", "user"])
def test_settings_of_one_object_are_for_admins(client: Client, kind: str) -> None:
    objects = {
        "field": CustomField.objects.create(of="contact", key="plan", label="Plan", type="text"),
        "owner": make_owner(),
        "user": make_user(""),
    }
    address = reverse(f"leads:{kind}-edit", args=[objects[kind].pk])
    answers = {}
    for role in ROLES:
        client.force_login(make_user(role))
        answers[role] = client.get(address).status_code
    assert answers == CONFIGURE


@pytest.mark.parametrize("name", ["field-delete", "tag-edit"])
def test_words_change_by_admins_only(client: Client, name: str) -> None:
    field = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    address = (
        reverse("leads:tag-edit") + "?tag=vip" if name == "tag-edit" else reverse("leads:field-delete", args=[field.pk])
    )
    answers = {}
    for role in ROLES:
        client.force_login(make_user(role))
        answers[role] = client.get(address).status_code
    assert answers == CONFIGURE


@pytest.mark.parametrize("name", PAGES)
def test_each_page_answers_each_role(client: Client, name: str) -> None:
    contact = make_contact(company=make_company())
    objects = {"contact": contact, "company": contact.company, "deal": make_deal(contact)}
    kind = name.partition(":")[2].partition("-")[0]
    address = reverse(name, args=[objects[kind].pk] if name in ONE else [])  # type: ignore[union-attr]
    assert client.get(address).status_code == 302  # to the sign-in
    answers = {}
    for role in ROLES:
        client.force_login(make_user(role))
        answers[role] = client.get(address).status_code
    assert answers == PAGES[name]
    client.force_login(make_user(""))
    assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    ("name", "role", "status"),
    [
        ("leads:contact-delete", SALES, 403),
        ("leads:contact-stage", "", 403),
        ("leads:contact-stage", SALES, 302),
        ("leads:contact-facts", "", 403),
    ],
)
def test_writing_is_refused_too(client: Client, name: str, role: str, status: int) -> None:
    contact = make_contact()
    client.force_login(make_user(role))
    assert client.post(reverse(name, args=[contact.pk])).status_code == status


def test_a_bulk_action_asks_for_its_own_right(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from leads import panels

    ran: list[int] = []

    def run(ids: Sequence[int], value: str, user: object, now: object) -> int:
        ran.append(len(ids))
        return len(ids)

    action = panels.BulkAction("wipe", "Wipe", "x", "configure", run)
    monkeypatch.setattr(panels, "_bulk_actions", {"wipe": action})
    contact = make_contact()
    asked = {"action": "wipe", "chosen": [contact.pk]}
    client.force_login(make_user(MARKETER))
    assert client.post(reverse("leads:contact-bulk"), asked).status_code == 403
    assert ran == []
    client.force_login(make_user(ADMIN))
    assert client.post(reverse("leads:contact-bulk"), asked).status_code == 302
    assert ran == [1]
