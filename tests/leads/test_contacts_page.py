"""One contact's page: facts, edit, stage by hand, timeline, deletion, a contact made by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads import actions, panels
from leads.access import MARKETER, SALES
from leads.models import AuditEntry, ConsentEvent, Contact, CustomField, Mark, StageMove
from tests.makers import NOW, clear_marks, make_activity, make_company, make_contact, make_deal, make_owner, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def sales(client: Client) -> Client:
    user = make_user(SALES, username="sam")
    user.first_name, user.last_name = "Sam", "Stone"
    user.save()
    client.force_login(user)
    return client


def address(name: str, contact: Contact) -> str:
    return reverse(f"leads:contact-{name}", args=[contact.pk])


# --- Shown -----------------------------------------------------------------------------------------------------------------


def test_the_page_tells_the_facts(sales: Client) -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    contact = make_contact(
        "anna@x.test",
        first_name="Anna",
        last_name="الأحمد",
        title="VP",
        company=make_company("Acme"),
        owner=make_owner("Ana Sousa"),
        country="DE",
        tags=["vip"],
        custom={"plan": "pro"},
    )
    make_deal(contact, status="won", product="GTX Pro", amount=1200)
    make_activity(contact, "download", subject="White paper", at=NOW)
    content = sales.get(address("detail", contact), {"panels": "all"}).content.decode()
    told = (
        "Anna الأحمد",
        "VP",
        "Acme",
        "Ana Sousa",
        "Germany",
        "vip",
        "Plan",
        "pro",
        "GTX Pro",
        "1,200",
        "White paper",
    )
    assert [words for words in told if words not in content] == []


def test_the_same_number_of_statements_whatever_the_rows(sales: Client) -> None:
    """Facts and panels take about twenty, each category of the timeline one more."""
    counted = []
    sales.get(address("detail", make_contact()))  # fills what a process reads once
    for row_count in (1, 3):
        contact = make_contact(company=make_company())
        for _ in range(row_count):
            make_deal(contact)
            make_activity(contact)
            StageMove.objects.create(
                contact=contact, moved_at=NOW, from_stage="inquiry", to_stage="mql", cause="import"
            )
        with CaptureQueriesContext(connection) as statements:
            sales.get(address("detail", contact))
        counted.append(len(statements))
    assert counted[0] == counted[1] <= 33


def test_a_contact_without_name_is_called_by_its_key(sales: Client) -> None:
    contact = make_contact(first_name="", last_name="", external_id="c-9")
    Contact.objects.filter(pk=contact.pk).update(email=None)
    assert "c-9" in sales.get(address("detail", contact)).content.decode()


def test_nobody_there(sales: Client) -> None:
    assert sales.get("/contacts/999999999/").status_code == 404


# --- Timeline --------------------------------------------------------------------------------------------------------------


def told(contact: Contact, category: str = "") -> list[tuple[str, str, str]]:
    page = panels.timeline(contact.pk, before=None, limit=50, category=category)
    return [(event.category, str(event.title), str(event.detail)) for event in page.events]


def test_the_timeline_of_facts_in_words() -> None:
    contact = make_contact(source="paid_search", created_at=NOW - timedelta(days=30))
    deal = make_deal(
        contact,
        external_id="d1",
        status="lost",
        product="GTX Pro",
        amount=1500,
        loss_reason="Too dear",
        opened_on=(NOW - timedelta(days=20)).date(),
        closed_on=(NOW - timedelta(days=10)).date(),
    )
    make_activity(
        contact, "page_view", at=NOW - timedelta(days=5), url="https://x.test/pricing", properties={"seconds": 12}
    )
    actor = make_user(SALES, username="sam")
    actions.move_stage(
        contact,
        to="mql",
        actor=actor,
        cause="by_hand",
        reason="Asked for a call",
        now=NOW - timedelta(days=4),
        by_hand=True,
    )
    actions.move_stage(
        contact, to="accepted", actor=None, cause="program:welcome", reason="", now=NOW - timedelta(days=3)
    )
    actions.withdraw_consent(contact.email or "", source="one_click", now=NOW, contact=contact)
    assert told(contact) == [
        ("consent", "Consent withdrawn", "marketing · one click"),
        ("stages", "MQL → Accepted", "by the program welcome"),
        ("stages", "Inquiry → MQL", "by sam · Asked for a call"),
        ("activities", "Page view: https://x.test/pricing", "seconds: 12"),
        ("deals", "Deal lost: d1", "GTX Pro · 1500 · Too dear"),
        ("deals", "Deal opened: d1", "GTX Pro · 1500"),
        ("record", "Contact recorded", "from paid_search"),
    ]
    assert [row[1] for row in told(contact, "stages")] == ["MQL → Accepted", "Inquiry → MQL"]
    events = panels.timeline(contact.pk, before=None, limit=50, category="deals").events
    assert {event.url for event in events} == {reverse("leads:deal-detail", args=[deal.pk])}


def test_an_open_deal_has_no_end() -> None:
    contact = make_contact()
    make_deal(contact, external_id="d1", opened_on=date(2026, 1, 1), closed_on=date(2026, 2, 1))
    assert [title for category, title, _detail in told(contact) if category == "deals"] == ["Deal opened: d1"]


def test_a_cause_not_known_here_is_shown_as_stored() -> None:
    contact = make_contact()
    actions.move_stage(contact, to="mql", actor=None, cause="crm_sync", reason="", now=NOW)
    assert told(contact, "stages") == [("stages", "Inquiry → MQL", "crm sync")]


def test_pages_of_the_timeline_by_keyset(sales: Client) -> None:
    contact = make_contact(created_at=NOW - timedelta(days=400))
    for hour in range(60):
        make_activity(contact, at=NOW - timedelta(hours=hour), url=f"https://x.test/{hour}")
    first = sales.get(address("timeline", contact), headers={"HX-Request": "true"})
    older = first.context["older"]
    fragment = sales.get(older, headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode()
    assert len(first.context["events"]) + len(fragment.context["events"]) == 61
    assert fragment.context["older"] == ""
    page = sales.get(older).content.decode()
    assert "<html" in page


@pytest.mark.parametrize("asked", [{"before": "yesterday"}, {"before": "2026-01-01"}, {"category": "nonsense"}])
def test_a_spoilt_address_shows_the_newest(sales: Client, asked: dict[str, str]) -> None:
    contact = make_contact()
    response = sales.get(address("timeline", contact), asked)
    assert [event.title for event in response.context["events"]] == ["Contact recorded"]


# --- Edited ----------------------------------------------------------------------------------------------------------------


def posted(contact: Contact, **changed: str) -> dict[str, str]:
    """The edit form as the browser sends it, with some fields changed."""
    names = "first_name last_name email title department seniority phone country region city postal_code "
    names += "timezone language source external_id"
    form = {name: getattr(contact, name) or "" for name in names.split()}
    form |= {"owner": str(contact.owner_id or ""), "tags": "; ".join(contact.tags), "company": ""}
    if contact.company:
        form["company"] = contact.company.name
    return form | changed


def test_edit_writes_what_changed_and_marks(sales: Client) -> None:
    CustomField.objects.create(of="contact", key="seats", label="Seats", type="number")
    acme = make_company("Acme")
    contact = make_contact(first_name="Anna", title="VP")
    clear_marks()
    changed = posted(contact, title="CFO", company="acme", tags="vip; partner", custom_seats="12.5")
    response = sales.post(address("facts", contact), changed)
    assert (response.status_code, response["Location"]) == (302, address("detail", contact))
    contact.refresh_from_db()
    assert (contact.title, contact.company, contact.tags, contact.custom) == (
        "CFO",
        acme,
        ["vip", "partner"],
        {"seats": 12.5},
    )
    facets = set(Mark.objects.filter(contact_id=contact.pk).values_list("facet", flat=True))
    assert facets == {Mark.Facet.CONTACT, Mark.Facet.COMPANY}
    entry = AuditEntry.objects.get(verb="changed")
    assert sorted(entry.detail["fields"]) == ["company", "custom.seats", "tags", "title"]


def test_edit_without_a_change_leaves_no_mark(sales: Client) -> None:
    contact = make_contact(company=make_company("Acme"), tags=["a"], owner=make_owner(), country="Atlantis")
    clear_marks()
    sales.post(address("facts", contact), posted(contact))
    assert not Mark.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"email": "not an address"}, "is no e-mail address"),
        ({"email": "taken@x.test"}, "belongs to another contact"),
        ({"email": "", "external_id": ""}, "needs an e-mail address or an external id"),
        ({"company": "No such company"}, "no company of that name"),
        ({"company": "Twin"}, "Several companies have that name"),
        ({"custom_seats": "many"}, "is no number"),
    ],
)
def test_edit_says_what_does_not_fit(sales: Client, changed: dict[str, str], words: str) -> None:
    CustomField.objects.create(of="contact", key="seats", label="Seats", type="number")
    make_company("Twin", external_id="t1")
    make_company("Twin", external_id="t2")
    make_contact("taken@x.test")
    contact = make_contact("anna@x.test", title="VP")
    response = sales.post(
        address("facts", contact), posted(contact, title="CFO", **changed), headers={"HX-Request": "true"}
    )
    content = response.content.decode()
    assert response.status_code == 422
    assert 'id="contact-facts"' in content
    assert "<html" not in content
    assert words in content
    contact.refresh_from_db()
    assert (contact.email, contact.title) == ("anna@x.test", "VP")


def test_one_of_two_companies_of_a_name_is_chosen_by_number(sales: Client) -> None:
    make_company("Twin", external_id="t1")
    second = make_company("Twin", external_id="t2")
    contact = make_contact()
    sales.post(address("facts", contact), posted(contact, company=f"Twin #{second.pk}"))
    contact.refresh_from_db()
    assert contact.company == second


def test_every_type_of_custom_field_goes_through_the_form(sales: Client) -> None:
    values = {
        "text": "x",
        "long_text": "a\nb",
        "number": "3",
        "yes_no": "yes",
        "date": "2026-03-01",
        "moment": "2026-03-01T10:00:00",
        "email": "A@x.test",
        "url": "https://x.test",
        "phone": "+49 30",
        "country": "DE",
        "money": "9.5",
        "choice": "b",
    }
    for kind in values:
        CustomField.objects.create(
            of="contact", key=f"f_{kind}", label=kind, type=kind, choices=["a", "b"] if kind == "choice" else []
        )
    CustomField.objects.create(of="contact", key="f_choices", label="several", type="choices", choices=["a", "b", "c"])
    contact = make_contact()
    form: dict[str, object] = posted(contact, **{f"custom_f_{kind}": value for kind, value in values.items()})  # type: ignore[assignment]
    response = sales.post(address("facts", contact), form | {"custom_f_choices": ["a", "c"]})
    assert response.status_code == 302
    contact.refresh_from_db()
    assert contact.custom == {
        "f_text": "x",
        "f_long_text": "a\nb",
        "f_number": 3,
        "f_yes_no": True,
        "f_date": "2026-03-01",
        "f_moment": "2026-03-01T10:00:00+00:00",
        "f_email": "a@x.test",
        "f_url": "https://x.test",
        "f_phone": "+49 30",
        "f_country": "DE",
        "f_money": 9.5,
        "f_choice": "b",
        "f_choices": ["a", "c"],
    }
    shown = sales.get(address("facts", contact), {"edit": "yes"}).context["form"]
    again = {name: shown[name].value() for name in shown.fields}
    again = {name: "" if value is None else value for name, value in again.items()}
    clear_marks()
    assert sales.post(address("facts", contact), again).status_code == 302
    assert not Mark.objects.exists()  # the form gives back what it was given


def test_the_form_and_its_way_back_as_fragments(sales: Client) -> None:
    contact = make_contact()
    htmx = {"HX-Request": "true"}
    form = sales.get(address("facts", contact), {"edit": "yes"}, headers=htmx).content.decode()
    shown = sales.get(address("facts", contact), headers=htmx).content.decode()
    assert "<form" in form
    assert "<form" not in shown
    assert all('id="contact-facts"' in part and "<html" not in part for part in (form, shown))
    saved = sales.post(address("facts", contact), posted(contact, title="CFO"), headers=htmx)
    assert (saved.status_code, saved["HX-Redirect"]) == (204, address("detail", contact))


# --- Stage -----------------------------------------------------------------------------------------------------------------


def test_a_move_by_hand_goes_anywhere_with_a_reason(sales: Client) -> None:
    contact = make_contact(stage="customer")
    sales.post(address("stage", contact), {"to": "visitor", "reason": "Typing error"})
    contact.refresh_from_db()
    move = StageMove.objects.get()
    assert contact.stage == "visitor"
    assert (move.from_stage, move.to_stage, move.cause, move.reason) == (
        "customer",
        "visitor",
        "by_hand",
        "Typing error",
    )
    assert move.actor is not None
    assert move.actor.username == "sam"


@pytest.mark.parametrize("asked", [{"to": "mql", "reason": ""}, {"to": "king", "reason": "x"}, {}])
def test_a_move_needs_a_stage_and_a_reason(sales: Client, asked: dict[str, str]) -> None:
    contact = make_contact()
    response = sales.post(address("stage", contact), asked, follow=True)
    assert "Choose a stage and say why." in response.content.decode()
    assert not StageMove.objects.exists()


# --- Made and deleted ------------------------------------------------------------------------------------------------------


def test_a_contact_made_by_hand(sales: Client) -> None:
    response = sales.post(reverse("leads:contact-new"), {"email": "NEW@x.test", "first_name": "Nia", "tags": "vip"})
    contact = Contact.objects.get(email="new@x.test")
    assert response["Location"] == address("detail", contact)
    assert (contact.first_name, contact.tags, contact.stage) == ("Nia", ["vip"], "inquiry")
    facets = set(Mark.objects.filter(contact_id=contact.pk).values_list("facet", flat=True))
    assert facets == set(Mark.Facet.values) - {6}


@pytest.mark.parametrize("form", [{}, {"first_name": "Nia"}, {"email": "taken@x.test"}])
def test_a_contact_needs_a_key_of_its_own(sales: Client, form: dict[str, str]) -> None:
    make_contact("taken@x.test")
    assert sales.post(reverse("leads:contact-new"), form).status_code == 422
    assert Contact.objects.count() == 1


def test_deletion_asks_first_and_keeps_consent(client: Client) -> None:
    client.force_login(make_user(MARKETER))
    contact = make_contact("anna@x.test", first_name="Anna", last_name="Müller")
    make_activity(contact)
    actions.withdraw_consent("anna@x.test", source="by_hand", now=NOW, contact=contact)
    assert "Delete for good" in client.get(address("delete", contact)).content.decode()
    response = client.post(address("delete", contact), follow=True)
    assert "Anna Müller was deleted." in response.content.decode()
    assert not Contact.objects.exists()
    assert ConsentEvent.objects.get().contact is None
    assert AuditEntry.objects.filter(verb="deleted", object_id=str(contact.pk)).count() == 1


def test_companies_to_choose_from(sales: Client) -> None:
    make_company("Acme", domain="acme.test")
    make_company("Zebra")
    content = sales.get(reverse("leads:company-options"), {"company": "cm"}).content.decode()
    assert '<option value="Acme">acme.test</option>' in content
    assert "Zebra" not in content


def test_a_company_edited_marks_its_people(sales: Client) -> None:
    acme = make_company("Acme", employees=5)
    contact = make_contact(company=acme)
    clear_marks()
    form = {"name": "Acme", "employees": "60", "revenue": "1,500.5", "country": "DE", "tags": "a; b"}
    assert sales.post(reverse("leads:company-edit", args=[acme.pk]), form).status_code == 302
    acme.refresh_from_db()
    assert (acme.employees, acme.revenue, acme.country, acme.tags) == (60, 1500.5, "DE", ["a", "b"])
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.COMPANY)]
    assert sales.post(reverse("leads:company-edit", args=[acme.pk]), form | {"employees": "few"}).status_code == 422
