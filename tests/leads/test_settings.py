"""Settings for admins: what is kept, what is refused, and that each change is audited."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads import figures
from leads.access import ADMIN, MARKETER, SALES, roles_of
from leads.models import AuditEntry, CustomField, Owner, Stage
from leads.workspace import workspace, zone
from tests.makers import make_contact, make_owner, make_segment, make_user

pytestmark = pytest.mark.django_db

WORKSPACE = {
    "name": "Nordwind",
    "postal_address": "Hafen 1\nHamburg",
    "timezone": "Europe/Berlin",
    "week_start": "7",
    "currency": "usd",
    "business_days": ["1", "2"],
    "business_start": "08:00",
    "business_end": "16:30",
    "sender_name": "Nordwind",
    "sender_email": "hello@nordwind.test",
    "reply_to": "",
    "jump_factor": "5",
}


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_user(ADMIN, username="ada"))
    return client


def audited() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", "object_kind"))


# --- Workspace -------------------------------------------------------------------------------------------------------------


def test_the_workspace_is_kept_and_audited(admin: Client) -> None:
    assert admin.post(reverse("leads:settings"), WORKSPACE).status_code == 302
    row = workspace()
    assert (row.name, row.currency, row.week_start, row.business_days) == ("Nordwind", "USD", 7, [1, 2])
    assert row.jump_factor == 5
    assert zone().key == "Europe/Berlin"
    assert audited() == [("changed", "workspace")]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"currency": "EU"}, "currency"),
        ({"currency": "1€A"}, "currency"),
        ({"business_end": "07:00"}, "business_end"),
        ({"business_days": ["9"]}, "business_days"),
        ({"jump_factor": "1"}, "jump_factor"),
        ({"business_days": []}, "business_days"),
        ({"sender_email": "nobody"}, "sender_email"),
        ({"name": ""}, "name"),
    ],
)
def test_a_workspace_that_cannot_be_is_refused(admin: Client, changed: dict[str, object], field: str) -> None:
    response = admin.post(reverse("leads:settings"), WORKSPACE | changed)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert (workspace().name, audited()) == ("Ripen", [])


# --- Custom fields ---------------------------------------------------------------------------------------------------------


def test_a_field_is_made_with_its_choices(admin: Client) -> None:
    form = {
        "of": "contact",
        "label": "Plan",
        "key": "plan",
        "type": "choice",
        "choices": "free\n\n pro \nfree",
        "help": "x",
    }
    assert admin.post(reverse("leads:field-new"), form).status_code == 302
    made = CustomField.objects.get()
    assert (made.of, made.key, made.label, made.type, made.choices) == (
        "contact",
        "plan",
        "Plan",
        "choice",
        ["free", "pro"],
    )
    assert audited() == [("made", "customfield")]
    again = admin.post(reverse("leads:field-new"), form)
    assert (again.status_code, "already" in again.content.decode()) == (422, True)


@pytest.mark.parametrize("changed", [{"key": "Big Key"}, {"key": ""}, {"type": "magic"}, {"choices": ""}])
def test_a_field_that_cannot_be_is_refused(admin: Client, changed: dict[str, str]) -> None:
    form = {"of": "contact", "label": "Plan", "key": "plan", "type": "choice", "choices": "a"} | changed
    assert admin.post(reverse("leads:field-new"), form).status_code == 422
    assert not CustomField.objects.exists()


def test_another_type_says_first_what_is_lost(admin: Client) -> None:
    field = CustomField.objects.create(of="contact", key="seats", label="Seats", type="text")
    address = reverse("leads:field-edit", args=[field.pk])
    contacts = [make_contact(custom={"seats": text}) for text in ("12", "many", "many")]
    form = {"label": "Places", "type": "number", "choices": "", "help": ""}
    asked = admin.post(address, form)
    assert asked.status_code == 422
    assert (asked.context["conversion"].kept, asked.context["conversion"].lost) == (1, 2)
    field.refresh_from_db()
    assert (field.label, field.type) == ("Seats", "text")
    assert admin.post(address, form | {"lose": "1"}).status_code == 422
    assert admin.post(address, form | {"lose": "2"}).status_code == 302
    field.refresh_from_db()
    assert (field.key, field.label, field.type) == ("seats", "Places", "number")
    stored = []
    for contact in contacts:
        contact.refresh_from_db()
        stored.append(contact.custom)
    assert stored == [{"seats": 12}, {}, {}]


def test_the_words_of_a_field_change_while_it_is_used(admin: Client) -> None:
    field = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    make_segment({"field": "contact.custom.plan", "op": "is", "value": "pro"}, name="Pros")
    address = reverse("leads:field-edit", args=[field.pk])
    assert admin.post(address, {"label": "Tariff", "type": "text", "choices": "", "help": ""}).status_code == 302
    refused = admin.post(address, {"label": "Fee", "type": "number", "choices": "", "help": ""})
    assert refused.status_code == 422
    assert refused.context["form"].errors == {"type": ["“Tariff” is used by: segment “Pros”. Change these first."]}
    assert [user.label for user in refused.context["users"]] == ["Pros"]
    field.refresh_from_db()
    assert (field.label, field.type) == ("Tariff", "text")


def test_a_field_goes_when_its_key_is_typed_and_nothing_uses_it(admin: Client) -> None:
    field = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    contact = make_contact(custom={"plan": "pro", "seats": 3})
    segment = make_segment({"field": "contact.custom.plan", "op": "is", "value": "pro"}, name="Pros")
    address = reverse("leads:field-delete", args=[field.pk])
    assert [user.label for user in admin.get(address).context["users"]] == ["Pros"]
    assert (
        admin.post(address, {"key": "plan"}).context["problem"]
        == "“Plan” is used by: segment “Pros”. Change these first."
    )
    segment.delete()
    assert admin.post(address, {"key": "plane"}).status_code == 422
    assert CustomField.objects.exists()
    assert admin.post(address, {"key": "plan"}).status_code == 302
    contact.refresh_from_db()
    assert (contact.custom, CustomField.objects.exists()) == ({"seats": 3}, False)


# --- Tags ------------------------------------------------------------------------------------------------------------------


def test_tags_are_listed_with_those_who_have_and_use_them(admin: Client) -> None:
    make_contact(tags=["Partner", "vip"], company={"tags": ["partner"]})
    make_contact(tags=["Partner"])
    make_segment({"field": "contact.tags", "op": "includes_any", "value": ["PARTNER", "reseller"]}, name="Friends")
    response = admin.get(reverse("leads:tag-list"))
    assert [(tag, people, firms, [use.label for use in users]) for tag, people, firms, users in response.context["rows"]] == [
        ("Partner", 2, 1, ["Friends"]), ("vip", 1, 0, []), ("reseller", 0, 0, ["Friends"]),
    ]  # fmt: skip
    found = admin.get(reverse("leads:tag-list"), {"q": "ART"}).context["rows"]
    assert [row[0] for row in found] == ["Partner"]


def test_the_lists_of_words_cost_the_same_for_one_and_three(admin: Client) -> None:
    """One statement per kind of definition, whatever their number; rooms may add kinds."""
    costs = []
    for number in (1, 2, 3):
        CustomField.objects.create(of="contact", key=f"f{number}", label=f"F{number}", type="text")
        make_contact(tags=[f"t{number}"])
        known = {"field": f"contact.custom.f{number}", "op": "is_known"}
        tagged = {"field": "contact.tags", "op": "includes_any", "value": [f"t{number}"]}
        make_segment({"all": [known, tagged]}, name=f"S{number}")
        cost = {}
        for name in ("field-list", "tag-list", "stage-list"):
            admin.get(reverse(f"leads:{name}"))  # rules are read once and kept
            with CaptureQueriesContext(connection) as captured:
                assert admin.get(reverse(f"leads:{name}")).status_code == 200
            cost[name] = len(captured)
        costs.append(cost)
    assert costs[0] == costs[1] == costs[2]


def test_a_large_company_sees_kept_numbers_with_their_moment_and_its_own_changes_at_once(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "FRESH_UP_TO", -1)
    make_contact(tags=["vip"], stage="mql")
    tags, stages = reverse("leads:tag-list"), reverse("leads:stage-list")
    for address in (tags, stages):
        assert "worked out anew every ten minutes" in admin.get(address).content.decode()
    make_contact(tags=["vip"], stage="mql")
    assert [row[:2] for row in admin.get(tags).context["rows"]] == [("vip", 1)]
    assert {row[0].slug: row[2] for row in admin.get(stages).context["rows"]}["mql"] == 1
    admin.post(reverse("leads:tag-edit") + "?tag=vip", {"verb": "rename", "to": "gold"})
    assert [row[:2] for row in admin.get(tags).context["rows"]] == [("gold", 2)]


def test_a_tag_is_renamed_merged_and_deleted_on_purpose(admin: Client) -> None:
    contact = make_contact(tags=["vip", "gold"])
    address = reverse("leads:tag-edit") + "?tag=vip"
    assert admin.get(address).context["contacts"] == 1
    assert admin.post(address, {"verb": "rename", "to": "Gold"}).status_code == 422
    assert admin.post(address, {"verb": "rename", "to": "Gold", "is_merge": "yes"}).status_code == 302
    contact.refresh_from_db()
    assert contact.tags == ["Gold"]
    address = reverse("leads:tag-edit") + "?tag=Gold"
    assert admin.post(address, {"verb": "delete", "name": "silver"}).status_code == 422
    assert admin.post(address, {"verb": "delete", "name": "gold"}).status_code == 302
    contact.refresh_from_db()
    assert contact.tags == []
    assert audited() == [("renamed", "tag"), ("deleted", "tag")]


def test_a_tag_that_rules_name_keeps_its_name(admin: Client) -> None:
    make_contact(tags=["partner"])
    make_segment({"field": "contact.tags", "op": "includes_any", "value": ["partner"]}, name="Friends")
    address = reverse("leads:tag-edit") + "?tag=partner"
    refused = admin.post(address, {"verb": "rename", "to": "ally"})
    assert refused.context["problem"] == "“partner” is used by: segment “Friends”. Change these first."
    assert admin.post(address, {"verb": "rename", "to": "Partner"}).status_code == 302
    assert admin.get(reverse("leads:tag-edit")).status_code == 302


# --- Stages and owners -----------------------------------------------------------------------------------------------------


def test_stages_are_called_what_the_company_calls_them(admin: Client) -> None:
    labels = {f"{stage.slug}-label": stage.label for stage in Stage.objects.all()}
    admin.post(reverse("leads:stage-list"), labels | {"mql-label": "Ripe"})
    assert Stage.objects.get(slug="mql").label == "Ripe"
    assert audited() == [("changed", "stage")]
    make_contact(stage="mql")
    assert "Ripe" in admin.get(reverse("leads:contact-list")).content.decode()
    assert (
        "This field is required" in admin.post(reverse("leads:stage-list"), labels | {"mql-label": ""}).content.decode()
    )


def test_an_owner_is_made_linked_and_named_once(admin: Client) -> None:
    sam = make_user(SALES, username="sam")
    form = {"name": "Sam Stone", "email": "sam@x.test", "team": "North", "user": str(sam.pk)}
    assert admin.post(reverse("leads:owner-new"), form).status_code == 302
    owner = Owner.objects.get()
    assert (owner.name, owner.user) == ("Sam Stone", sam)
    twice = admin.post(reverse("leads:owner-new"), {"name": "SAM STONE", "email": "", "team": "", "user": ""})
    assert list(twice.context["form"].errors) == ["name"]
    assert admin.post(reverse("leads:owner-edit", args=[owner.pk]), form | {"user": ""}).status_code == 302
    owner.refresh_from_db()
    assert owner.user is None
    make_owner("Other")
    assert len(admin.get(reverse("leads:owner-list")).context["rows"]) == 2


# --- People ----------------------------------------------------------------------------------------------------------------

NEW_USER = {
    "username": "mara",
    "first_name": "Mara",
    "last_name": "",
    "email": "",
    "is_active": "on",
    "roles": [MARKETER],
    "password": "a-long-password-1",
}


def test_a_user_is_made_and_signs_in(admin: Client) -> None:
    assert admin.post(reverse("leads:user-new"), NEW_USER).status_code == 302
    mara = User.objects.get(username="mara")
    assert (roles_of(mara), mara.is_staff) == ({MARKETER}, False)
    browser = Client()
    browser.post("/login/", {"username": "mara", "password": "a-long-password-1"})
    assert browser.get("/contacts/").status_code == 200
    assert "a-long-password-1" not in str(list(AuditEntry.objects.values()))


def test_roles_change_and_a_password_stays(admin: Client) -> None:
    admin.post(reverse("leads:user-new"), NEW_USER)
    mara = User.objects.get(username="mara")
    address = reverse("leads:user-edit", args=[mara.pk])
    assert admin.post(address, NEW_USER | {"roles": [SALES, ADMIN], "password": ""}).status_code == 302
    mara = User.objects.get(username="mara")
    assert (roles_of(mara), mara.is_staff) == ({SALES, ADMIN}, True)
    assert mara.check_password("a-long-password-1")
    left = {key: value for key, value in NEW_USER.items() if key != "is_active"} | {"password": ""}
    assert admin.post(address, left).status_code == 302
    mara.refresh_from_db()
    assert mara.is_active is False


@pytest.mark.parametrize("password", ["", "short", "12345678901", "mara.stone"])
def test_a_weak_first_password_is_refused(admin: Client, password: str) -> None:
    response = admin.post(reverse("leads:user-new"), NEW_USER | {"last_name": "mara stone", "password": password})
    assert list(response.context["form"].errors) == ["password"]
    assert not User.objects.filter(username="mara").exists()


def test_nobody_takes_their_own_admin_role_away(admin: Client) -> None:
    ada = User.objects.get(username="ada")
    form = NEW_USER | {"username": "ada", "roles": [MARKETER], "password": ""}
    response = admin.post(reverse("leads:user-edit", args=[ada.pk]), form)
    assert response.status_code == 422
    assert "your own admin role" in response.content.decode()
    assert roles_of(User.objects.get(username="ada")) == {ADMIN}


# --- Audit and the Django admin --------------------------------------------------------------------------------------------


def test_the_audit_narrows_to_a_kind(admin: Client) -> None:
    admin.post(reverse("leads:settings"), WORKSPACE)
    admin.post(reverse("leads:owner-new"), {"name": "Sam", "email": "", "team": "", "user": ""})
    page = admin.get(reverse("leads:audit-list"), {"kind": "owner"}).context["page"]
    assert [(entry.verb, entry.object_label) for entry in page.rows] == [("made", "Sam")]


def test_facts_are_read_only_in_the_django_admin(client: Client) -> None:
    user = make_user(ADMIN)
    user.is_staff = True
    user.save()
    client.force_login(user)
    contact = make_contact(first_name="Anna")
    address = f"/admin/leads/contact/{contact.pk}/"
    assert client.get("/admin/leads/contact/").status_code == 200
    assert client.get(f"{address}change/").status_code == 200
    assert client.post(f"{address}change/", {"first_name": "Bob"}).status_code == 403
    assert client.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/leads/contact/add/").status_code == 403
    contact.refresh_from_db()
    assert contact.first_name == "Anna"
    assert client.get("/admin/auth/user/").status_code == 200


def test_only_a_superuser_makes_superusers(client: Client) -> None:
    user = make_user(ADMIN)
    user.is_staff = True
    user.save()
    client.force_login(user)
    page = client.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    assert 'name="is_superuser"' not in page
    assert 'name="is_staff"' in page
