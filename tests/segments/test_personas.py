"""Personas: saving, two editors, order, review, deletion, the pages, what contacts show of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.access import ADMIN, MARKETER, SALES
from leads.models import AuditEntry, Contact
from leads.panels import columns, filters, panels, timeline
from segments import personas
from segments.models import Persona, PersonaAssignment
from segments.personas import EditedMeanwhile, PersonaRefused, create_persona, delete_persona, save_persona
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = pytest.mark.django_db

FINANCE = {"all": [{"field": "contact.department", "op": "is", "value": "Finance"}]}
LATER = NOW + timedelta(hours=1)


def make_persona(name: str = "Frank, who signs", **values: Any) -> Persona:
    values = {"status": Persona.Status.AGREED, "conditions": FINANCE} | values
    return create_persona(values={"name": name, **values}, actor=None, now=NOW)


def not_stale() -> None:
    Persona.objects.update(stale_since=None)


def test_a_new_persona_stands_at_the_end_with_a_slug_of_its_own() -> None:
    first, second, odd = make_persona(), make_persona(), make_persona("李")
    assert [first.slug, second.slug, odd.slug] == ["frank-who-signs", "frank-who-signs-2", "persona"]
    assert [first.position, second.position, odd.position] == [1, 2, 3]
    assert first.stale_since == NOW


def test_saving_a_rule_asks_for_everybody_again() -> None:
    frank, petra = make_persona(), make_persona("Petra")
    not_stale()
    saved = save_persona(frank, values={"conditions": {"all": []}}, version=1, actor=None, now=LATER)
    assert (saved.version, saved.stale_since) == (2, LATER)
    petra.refresh_from_db()
    assert petra.stale_since == LATER  # the first that matches wins, so the others may gain or lose


def test_saving_nothing_new_changes_nothing() -> None:
    frank = make_persona()
    not_stale()
    saved = save_persona(frank, values={"name": frank.name, "conditions": FINANCE}, version=1, actor=None, now=LATER)
    saved.refresh_from_db()
    assert (saved.version, saved.stale_since, saved.updated_at) == (1, None, NOW)
    assert not AuditEntry.objects.filter(verb="edited").exists()


def test_saving_clears_a_problem_of_the_rule() -> None:
    frank = make_persona()
    Persona.objects.update(problem="the field is gone")
    assert save_persona(frank, values={"conditions": {"all": []}}, version=1, actor=None, now=LATER).problem == ""


def test_the_second_editor_is_told_and_nothing_is_written() -> None:
    frank = make_persona()
    save_persona(frank, values={"goals": "no surprises"}, version=1, actor=None, now=NOW)
    with pytest.raises(EditedMeanwhile) as told:
        save_persona(frank, values={"goals": "fewer systems"}, version=1, actor=None, now=LATER)
    assert personas.differences({"name": frank.name, "goals": "fewer systems"}, told.value.theirs) == [
        ("goals", "no surprises")
    ]
    frank.refresh_from_db()
    assert frank.goals == "no surprises"


def test_a_rule_that_goes_in_a_circle_is_refused() -> None:
    frank = make_persona()
    segment = make_segment({"all": [{"in_persona": frank.slug}]})
    with pytest.raises(PersonaRefused) as refused:
        save_persona(
            frank, values={"conditions": {"all": [{"in_segment": segment.slug}]}}, version=1, actor=None, now=NOW
        )
    assert str(refused.value) == f"This rule would go in a circle: {frank.name} → {segment.name} → {frank.name}."
    with pytest.raises(PersonaRefused):
        save_persona(
            frank, values={"conditions": {"all": [{"in_persona": frank.slug}]}}, version=1, actor=None, now=NOW
        )


def test_order_can_be_changed_and_marks_everybody() -> None:
    first, second, third = (make_persona(name) for name in ("One", "Two", "Three"))
    not_stale()
    user = make_user()
    personas.move_persona(third, up=True, actor=user, now=LATER)
    assert list(Persona.objects.values_list("slug", "position")) == [("one", 1), ("three", 2), ("two", 3)]
    assert set(Persona.objects.values_list("stale_since", flat=True)) == {LATER}
    not_stale()
    first.refresh_from_db()
    personas.move_persona(first, up=True, actor=user, now=LATER)  # it is the first already
    assert set(Persona.objects.values_list("stale_since", flat=True)) == {None}


def test_a_persona_in_use_is_not_deleted() -> None:
    frank = make_persona()
    segment = make_segment({"all": [{"in_persona": frank.slug}]}, name="Signers")
    with pytest.raises(PersonaRefused) as refused:
        delete_persona(frank, actor=make_user(), now=NOW)
    assert segment.name in str(refused.value)


def test_deleting_marks_the_others() -> None:
    frank, petra = make_persona(), make_persona("Petra")
    not_stale()
    delete_persona(frank, actor=make_user(), now=LATER)
    petra.refresh_from_db()
    assert (Persona.objects.count(), petra.stale_since) == (1, LATER)


@pytest.mark.parametrize(
    ("status", "reviewed_on", "today", "is_overdue"),
    [
        ("agreed", date(2026, 1, 1), date(2026, 4, 2), False),
        ("agreed", date(2026, 1, 1), date(2026, 4, 3), True),
        ("agreed", None, date(2026, 3, 3), False),
        ("agreed", None, date(2026, 9, 1), True),
        ("on_test", date(2026, 1, 1), date(2026, 4, 3), True),
        ("draft", date(2026, 1, 1), date(2026, 12, 1), False),
        ("retired", date(2026, 1, 1), date(2026, 12, 1), False),
    ],
)
def test_a_review_is_due_each_quarter(status: str, reviewed_on: date | None, today: date, is_overdue: bool) -> None:
    persona = Persona(name="Frank", status=status, reviewed_on=reviewed_on, created_at=datetime(2026, 3, 2, tzinfo=UTC))
    assert personas.is_overdue(persona, today=today) is is_overdue


def test_a_motivation_of_an_import_is_shown_as_it_stands() -> None:
    shown = personas.motivations_of(Persona(motivations=["power", "chocolate"]))
    assert [(one.word, bool(one.hint)) for one in shown] == [("Power", True), ("chocolate", False)]


# --- pages


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def form(**values: Any) -> dict[str, Any]:
    return {"name": "Frank", "status": "agreed", "conditions": json.dumps(FINANCE), "version": "1"} | values


def test_a_persona_is_written_in_the_browser(marketer: Client) -> None:
    answer = marketer.post(reverse("segments:persona-new"), form(motivations=["saving", "order"], role="pays"))
    frank = Persona.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("segments:persona-detail", args=[frank.slug]))
    assert (frank.motivations, frank.role, frank.conditions) == (["saving", "order"], "pays", FINANCE)


def test_a_broken_rule_is_refused_with_its_path(marketer: Client) -> None:
    bad = json.dumps({"all": [{"field": "contact.department", "op": "at_least", "value": 3}]})
    answer = marketer.post(reverse("segments:persona-new"), form(conditions=bad))
    assert answer.status_code == 422
    assert "all[0].op" in answer.text
    assert not Persona.objects.exists()


def test_the_second_editor_keeps_what_they_wrote(marketer: Client) -> None:
    frank = make_persona("Frank")
    save_persona(frank, values={"goals": "no surprises"}, version=1, actor=None, now=NOW)
    url = reverse("segments:persona-edit", args=[frank.slug])
    answer = marketer.post(url, form(goals="fewer systems", motivations=["saving"]))
    assert answer.status_code == 409
    assert "no surprises" in answer.text
    assert "fewer systems" in answer.text
    assert 'name="version" value="2"' in answer.text
    assert marketer.post(url, form(goals="fewer systems", motivations=["saving"], version="2")).status_code == 302
    frank.refresh_from_db()
    assert (frank.goals, frank.version) == ("fewer systems", 3)


def test_a_loop_is_told_in_the_form(marketer: Client) -> None:
    frank = make_persona("Frank")
    rule = json.dumps({"all": [{"in_persona": frank.slug}]})
    answer = marketer.post(reverse("segments:persona-edit", args=[frank.slug]), form(conditions=rule))
    assert answer.status_code == 422
    assert "circle" in answer.text


def test_the_portrait_shows_all_its_words(marketer: Client) -> None:
    words = {
        "job": "CFO", "day": "Month-end", "background": "Audit", "goals": "Explain costs", "end_goals": "Growth",
        "obstacles_external": "Freeze", "obstacles_internal": "Fear", "obstacles_philosophical": "Ledger", "objections": "Payback?\nWho else?",
    }  # fmt: skip
    frank = make_persona(motivations=["saving"], role="pays", **words)
    page = marketer.get(reverse("segments:persona-detail", args=[frank.slug])).text
    assert [word for word in (*"\n".join(words.values()).split("\n"), "Saving", "Finance") if word not in page] == []
    assert f"?persona={frank.slug}" in page


def test_the_list_counts_overdue_reviews(marketer: Client) -> None:
    make_persona(reviewed_on=date(2020, 1, 1))
    Persona.objects.update(reviewed_on=date(2020, 1, 1))
    make_persona("Old", status="retired")
    page = marketer.get(reverse("segments:persona-list")).text
    assert "1 persona is due" in page
    assert page.count("review overdue") == 1


def test_review_move_and_delete_by_button(marketer: Client) -> None:
    frank, petra = make_persona("Frank"), make_persona("Petra")
    marketer.post(reverse("segments:persona-review", args=[frank.slug]))
    marketer.post(reverse("segments:persona-move", args=[petra.slug]), {"to": "up"})
    frank.refresh_from_db()
    assert frank.reviewed_on is not None
    assert frank.position == 2
    marketer.post(reverse("segments:persona-delete", args=[frank.slug]))
    assert list(Persona.objects.values_list("slug", flat=True)) == ["petra"]


@pytest.mark.parametrize("role", [SALES, ADMIN, MARKETER])
def test_sales_reads_personas_and_does_not_write_them(client: Client, role: str) -> None:
    frank = make_persona()
    client.force_login(make_user(role))
    may = role != SALES
    assert client.get(reverse("segments:persona-list")).status_code == 200
    assert client.get(reverse("segments:persona-detail", args=[frank.slug])).status_code == 200
    assert client.get(reverse("segments:persona-new")).status_code == (200 if may else 403)
    assert client.get(reverse("segments:persona-edit", args=[frank.slug])).status_code == (200 if may else 403)
    for name in ("review", "move", "delete"):
        assert client.post(reverse(f"segments:persona-{name}", args=[frank.slug])).status_code == (302 if may else 403)


def test_the_page_says_who_uses_the_persona(marketer: Client) -> None:
    persona = make_persona()
    make_segment({"in_persona": persona.slug}, name="Signers")
    page = marketer.get(reverse("segments:persona-detail", args=[persona.slug]))
    assert [user.label for user in page.context["users"]] == ["Signers"]
    assert "Not while something uses it" in page.content.decode()


@pytest.mark.parametrize("count", [1, 4])
def test_the_list_asks_as_much_for_many(marketer: Client, count: int, django_assert_num_queries: Any) -> None:
    for number in range(count):
        make_persona(f"Persona {number}")
    with django_assert_num_queries(10):
        marketer.get(reverse("segments:persona-list"))


# --- contacts


@pytest.fixture
def assigned() -> tuple[Contact, Contact, Persona]:
    frank = make_persona(motivations=["saving"])
    contact, other = make_contact(), make_contact()
    PersonaAssignment.objects.create(
        contact=contact, persona=frank, since=NOW - timedelta(days=9), until=NOW - timedelta(days=5)
    )
    PersonaAssignment.objects.create(contact=contact, persona=frank, since=NOW - timedelta(days=2))
    return contact, other, frank


def test_a_contact_shows_its_persona(assigned: tuple[Contact, Contact, Persona]) -> None:
    contact, other, frank = assigned
    panel = next(panel for panel in panels() if panel.key == "persona")
    column = next(column for column in columns() if column.key == "persona")
    user = make_user()
    assert panel.context(contact, user, NOW)["stay"].persona == frank
    assert panel.context(other, user, NOW)["stay"] is None
    assert column.values([contact.pk, other.pk]) == {contact.pk: frank}
    assert (column.text(frank), column.text(None)) == (frank.name, "")


def test_contacts_are_filtered_by_persona_and_by_none(assigned: tuple[Contact, Contact, Persona]) -> None:
    contact, other, frank = assigned
    found = next(one for one in filters() if one.key == "persona")
    assert list(found.apply(Contact.objects.all(), frank.slug)) == [contact]
    assert list(found.apply(Contact.objects.all(), "-")) == [other]
    assert [value for value, _label in found.choices()] == [frank.slug, "-"]


def test_the_timeline_tells_each_persona(assigned: tuple[Contact, Contact, Persona]) -> None:
    contact, _other, _frank = assigned
    events = timeline(contact.pk, before=None, limit=20, category="personas").events
    assert [event.at for event in events] == [NOW - timedelta(days=2), NOW - timedelta(days=9)]
