"""Verbs over facts: what changes, what is marked, what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leads import actions
from leads.access import ADMIN
from leads.addresses import address_hash
from leads.models import (
    Activity,
    AuditEntry,
    ConsentEvent,
    Contact,
    CustomField,
    Mark,
    Signal,
    StageMove,
    Suppression,
)
from leads.queries_consent import why_blocked
from leads.suppression import suppress
from tests.makers import NOW, make_activity, make_company, make_contact, make_deal, make_owner, make_user

pytestmark = pytest.mark.django_db


def marks() -> list[tuple[int, int]]:
    return sorted(Mark.objects.values_list("contact_id", "facet"))


def test_a_change_is_stored_marked_and_audited() -> None:
    contact, company, owner = make_contact(title="Clerk"), make_company(), make_owner()
    actions.make_custom_field("contact", key="plan", type="choice", choices=["free", "pro"], now=NOW)
    changed = actions.change_contact(
        contact,
        changes={
            "title": " CFO ",
            "company": company,
            "owner": owner,
            "custom.plan": "PRO",
            "tags": ["a", "A", "b"],
            "city": "",
        },
        actor=make_user(),
        now=NOW,
    )
    assert changed == ["title", "company", "owner", "custom.plan", "tags"]
    contact = Contact.objects.get(pk=contact.pk)
    assert (contact.title, contact.company, contact.owner, contact.custom, contact.tags, contact.updated_at) == (
        "CFO",
        company,
        owner,
        {"plan": "pro"},
        ["a", "b"],
        NOW,
    )
    assert marks() == [(contact.pk, Mark.Facet.CONTACT), (contact.pk, Mark.Facet.COMPANY)]
    assert AuditEntry.objects.get().verb == "changed"


def test_a_change_that_changes_nothing_leaves_no_mark() -> None:
    contact = make_contact(title="CFO")
    assert actions.change_contact(contact, changes={"title": "CFO"}, actor=None, now=NOW) == []
    assert marks() == []


@pytest.mark.parametrize(
    "changes", [{"email": "no address"}, {"title": "x" * 301}, {"custom.nope": 1}, {"stage": "mql"}, {"id": 7}]
)
def test_a_value_that_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    contact = make_contact()
    with pytest.raises(actions.Refused):
        actions.change_contact(contact, changes=changes, actor=None, now=NOW)
    assert marks() == []


def test_an_address_of_somebody_else_is_refused() -> None:
    make_contact("ada@example.test")
    contact = make_contact()
    with pytest.raises(actions.Refused, match="another contact"):
        actions.change_contact(contact, changes={"email": "ADA@example.test"}, actor=None, now=NOW)


def test_a_field_is_set_where_it_differs() -> None:
    same, other = make_contact(title="CFO"), make_contact(title="Clerk")
    ids = [same.pk, other.pk]
    assert actions.set_field_for(ids, field="contact.title", value="CFO", now=NOW) == 1
    assert marks() == [(other.pk, Mark.Facet.CONTACT)]
    actions.make_custom_field("contact", key="seats", type="number", now=NOW)
    assert actions.set_field_for(ids, field="contact.custom.seats", value="12", now=NOW) == 2
    assert actions.set_field_for(ids, field="custom.seats", value=12, now=NOW) == 0
    assert Contact.objects.get(pk=same.pk).custom == {"seats": 12}
    assert actions.set_field_for([same.pk], field="custom.seats", value=None, now=NOW) == 1
    assert Contact.objects.get(pk=same.pk).custom == {}
    with pytest.raises(actions.Refused):
        actions.set_field_for(ids, field="contact.email", value="a@b.test", now=NOW)


def test_tags_come_and_go_whatever_their_case() -> None:
    one, two = make_contact(tags=["Partner", "x"]), make_contact()
    ids = [one.pk, two.pk]
    assert actions.add_tag(ids, tag="partner", now=NOW) == 1
    assert Contact.objects.get(pk=two.pk).tags == ["partner"]
    assert actions.remove_tag(ids, tag="PARTNER", now=NOW) == 2
    assert Contact.objects.get(pk=one.pk).tags == ["x"]
    assert len(marks()) == 3


def test_an_owner_is_set_for_many() -> None:
    owner = make_owner()
    ids = [make_contact().pk, make_contact(owner=owner).pk]
    assert actions.set_owner(ids, owner=owner, now=NOW) == 1
    assert actions.set_field_for(ids, field="owner", value=owner.name.upper(), now=NOW) == 0


def test_a_rule_moves_forward_only_and_a_person_anywhere() -> None:
    contact = make_contact(stage="accepted")
    with pytest.raises(actions.IllegalMove):
        actions.move_stage(contact, to="mql", actor=None, cause="rule:x", reason="", now=NOW)
    assert actions.move_stage(
        contact, to="mql", actor=make_user(), cause="by_hand", reason="typo", now=NOW, by_hand=True
    )
    assert not actions.move_stage(contact, to="mql", actor=None, cause="rule:x", reason="", now=NOW)
    move = StageMove.objects.get()
    assert (move.from_stage, move.to_stage, move.moved_at, contact.stage) == ("accepted", "mql", NOW, "mql")
    assert marks() == [(contact.pk, Mark.Facet.CONTACT)]


def test_many_move_where_it_is_legal() -> None:
    inquiry, customer, recycled = make_contact(), make_contact(stage="customer"), make_contact(stage="recycled")
    ids = [inquiry.pk, customer.pk, recycled.pk]
    assert actions.move_stages(ids, to="mql", cause="hand_off", reason="ripe", now=NOW) == 2
    assert sorted(StageMove.objects.values_list("contact_id", "from_stage")) == [
        (inquiry.pk, "inquiry"),
        (recycled.pk, "recycled"),
    ]
    assert Contact.objects.get(pk=customer.pk).stage == "customer"
    assert actions.move_stages(ids, to="mql", cause="hand_off", reason="ripe", now=NOW) == 0


def test_a_clock_that_went_back_leaves_the_history_in_order() -> None:
    contact = make_contact(stage="inquiry")
    for to, at in (("mql", NOW), ("lost", NOW - timedelta(hours=1))):
        assert actions.move_stages([contact.pk], to=to, cause="test", reason="", now=at) == 1
    moves = StageMove.objects.filter(contact=contact).order_by("moved_at", "id").values_list("to_stage", "moved_at")
    assert list(moves) == [("mql", NOW), ("lost", NOW)]
    contact.refresh_from_db()
    assert (contact.stage, contact.stage_since) == ("lost", NOW)


def test_activities_are_recorded_with_kinds_made_on_the_way() -> None:
    contact = make_contact()
    row = actions.NewActivity(contact.pk, "trade_fair", NOW, subject="Hannover", properties={"hall": 7})
    assert actions.record_activities([row, row], now=NOW) == 2
    activity = Activity.objects.filter(contact=contact).select_related("kind", "asset")[0]
    assert activity.asset is not None
    assert (activity.kind.slug, activity.asset.subject, activity.properties) == ("trade_fair", "Hannover", {"hall": 7})
    assert marks() == [(contact.pk, Mark.Facet.ACTIVITY)]
    assert actions.record_activities([], now=NOW) == 0
    with pytest.raises(actions.Refused):
        actions.record_activities([actions.NewActivity(contact.pk, "Not a slug", NOW)], now=NOW)


def test_withdrawn_consent_is_kept_by_address() -> None:
    contact = make_contact("Ada@Example.test")
    assert actions.withdraw_consent("ADA@example.test ", source="unsubscribe_link", now=NOW)
    assert not actions.withdraw_consent("ada@example.test", source="one_click", now=NOW + timedelta(days=1))
    event = ConsentEvent.objects.get()
    assert (event.contact, event.state, event.source) == (contact, "withdrawn", "unsubscribe_link")
    assert why_blocked(["ada@example.test", "ben@example.test"], "marketing") == {"ada@example.test": "withdrawn"}
    assert marks() == [(contact.pk, Mark.Facet.CONSENT)]


def test_the_first_reason_of_a_suppression_stays() -> None:
    assert suppress("gone@example.test", reason="bounced", source="mail 7", now=NOW)
    assert not suppress("GONE@example.test", reason="by_hand", source="sales", now=NOW)
    assert Suppression.objects.get().reason == "bounced"
    with pytest.raises(actions.Refused):
        suppress("gone@example.test", reason="boredom", source="", now=NOW)


def test_a_deleted_contact_leaves_only_the_hash_of_the_address() -> None:
    contact, other = make_contact("ada@example.test"), make_contact()
    make_deal(contact, other)
    make_activity(contact)
    make_activity(other)
    actions.withdraw_consent("ada@example.test", source="by_hand", now=NOW)
    number = contact.pk
    actions.delete_contact(contact, actor=make_user(ADMIN), now=NOW)
    assert list(Contact.objects.all()) == [other]
    assert [activity.contact_id for activity in Activity.objects.all()] == [other.pk]
    assert [signal.contact_id for signal in Signal.objects.all()] == [other.pk]
    assert {contact_id for contact_id, _facet in marks()} == {other.pk}
    assert ConsentEvent.objects.get().contact is None
    assert ConsentEvent.objects.get().address_hash == address_hash("ada@example.test")
    assert why_blocked(["ada@example.test"], "marketing") == {"ada@example.test": "withdrawn"}
    assert AuditEntry.objects.get().object_id == str(number)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"of": "planet", "key": "x", "type": "text"}, "belong"),
        ({"of": "contact", "key": "Big Key", "type": "text"}, "key"),
        ({"of": "contact", "key": "x", "type": "blob"}, "type"),
        ({"of": "contact", "key": "x", "type": "choice"}, "option"),
        ({"of": "contact", "key": "taken", "type": "text"}, "already"),
    ],
)
def test_a_custom_field_that_makes_no_sense_is_refused(values: dict[str, str], word: str) -> None:
    actions.make_custom_field("contact", key="taken", type="text", now=NOW)
    of = values.pop("of")
    with pytest.raises(actions.Refused, match=word):
        actions.make_custom_field(of, **values, now=NOW)  # type: ignore[arg-type]
    assert CustomField.objects.count() == 1


def test_a_changed_company_marks_its_people() -> None:
    company = make_company(employees=5)
    contact = make_contact(company=company)
    make_contact()
    assert actions.change_company(
        company, changes={"employees": "60", "country": "germany"}, actor=make_user(), now=NOW
    ) == [
        "employees",
        "country",
    ]
    assert (company.employees, company.country) == (60, "DE")
    assert marks() == [(contact.pk, Mark.Facet.COMPANY)]
    with pytest.raises(actions.Refused):
        actions.change_company(company, changes={"employees": "many"}, actor=None, now=NOW)
