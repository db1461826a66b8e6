"""Custom fields and tags as they change: values converted or counted as lost, marks left, nothing that a rule names."""

from __future__ import annotations

from typing import Any

import pytest

from leads import vocabulary
from leads.models import AuditEntry, CustomField, Mark
from tests.makers import NOW, clear_marks, make_company, make_contact, make_deal, make_segment

pytestmark = pytest.mark.django_db


def make_field(of: str = "contact", *, type: str = "text", **more: Any) -> CustomField:
    return CustomField.objects.create(of=of, key="plan", label="Plan", type=type, **more)


@pytest.mark.parametrize(
    ("stored", "type", "choices", "to", "fresh"),
    [
        ("text", "3.5", [], "number", 3.5),
        ("text", "yes", [], "yes_no", True),
        ("text", "2026-01-05", [], "date", "2026-01-05"),
        ("text", "PRO", ["pro", "free"], "choice", "pro"),
        ("text", "a; b", ["a", "b"], "choices", ["a", "b"]),
        ("text", "Germany", [], "country", "DE"),
        ("number", 12, [], "text", "12"),
        ("number", 12, [], "choices", ["12"]),
        ("yes_no", True, [], "text", "true"),
        ("choices", ["a", "b"], [], "text", "a; b"),
        ("choices", ["a"], ["a"], "choice", "a"),
        ("date", "2026-01-05", [], "moment", "2026-01-05T00:00:00+00:00"),
        ("moment", "2026-01-05T10:00:00+00:00", [], "date", "2026-01-05"),
    ],
)
def test_values_that_spell_the_new_type_are_converted(
    stored: str, type: Any, choices: list[str], to: str, fresh: Any
) -> None:
    field = make_field(type=stored)
    contact = make_contact(custom={"plan": type})
    changed = vocabulary.change_custom_field(
        field, label="Plan", type=to, choices=choices, help="", actor=None, now=NOW
    )
    contact.refresh_from_db()
    assert (contact.custom["plan"], field.type, "type" in changed) == (fresh, to, True)


def test_what_would_be_lost_is_said_with_examples() -> None:
    field = make_field()
    for text in ("1", "x", "x", "y"):
        make_contact(custom={"plan": text})
    conversion = vocabulary.plan_conversion(field, to="number", choices=[])
    assert (conversion.kept, conversion.lost) == (1, 3)
    assert [(value, rows) for value, _why, rows in conversion.examples] == [("x", 2), ("y", 1)]


@pytest.mark.parametrize(("of", "facet"), [("contact", 1), ("company", 2), ("deal", 4)])
def test_whoever_holds_a_value_is_marked_when_it_goes(of: str, facet: int) -> None:
    custom = {"plan": "pro"}
    company = make_company(custom=custom if of == "company" else {})
    contact = make_contact(company=company, custom=custom if of == "contact" else {})
    make_deal(contact, custom=custom if of == "deal" else {})
    make_contact()
    field = make_field(of)
    clear_marks()
    assert vocabulary.delete_custom_field(field, actor=None, now=NOW) == 1
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, facet)]
    assert AuditEntry.objects.get().detail == {"of": of, "key": "plan", "type": "text", "values": 1}


def test_a_field_of_another_kind_with_the_same_key_is_another_field() -> None:
    mine, theirs = make_field("contact"), make_field("company")
    make_segment({"field": "company.custom.plan", "op": "is", "value": "pro"}, name="Pros")
    vocabulary.delete_custom_field(mine, actor=None, now=NOW)
    with pytest.raises(vocabulary.InUse) as refused:
        vocabulary.delete_custom_field(theirs, actor=None, now=NOW)
    assert [user.label for user in refused.value.users] == ["Pros"]


def test_a_merged_tag_stands_once_and_leaves_marks() -> None:
    both = make_contact(tags=["A", "vip", "Gold"])
    one = make_contact(tags=["VIP"])
    company = make_company(tags=["vip"])
    person = make_contact(company=company)
    make_contact(tags=["other"])
    clear_marks()
    assert vocabulary.rename_tag("vip", to="gold", actor=None, now=NOW) == (2, 1)
    for row in (both, one, company):
        row.refresh_from_db()
    assert (both.tags, one.tags, company.tags) == (["A", "gold"], ["gold"], ["gold"])
    assert sorted(Mark.objects.values_list("contact_id", "facet")) == [(both.pk, 1), (one.pk, 1), (person.pk, 2)]


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "contact.tags", "op": "includes_none", "value": ["Vip"]},
        {"not": {"any": [{"field": "company.tags", "op": "includes_all", "value": ["x", "vip"]}]}},
    ],
)
def test_a_tag_in_use_cannot_go(rule: dict[str, Any]) -> None:
    segment = make_segment(rule, name="Friends")
    with pytest.raises(vocabulary.InUse):
        vocabulary.delete_tag("VIP", actor=None, now=NOW)
    with pytest.raises(vocabulary.InUse):
        vocabulary.rename_tag("vip", to="gold", actor=None, now=NOW)
    segment.delete()
    assert vocabulary.delete_tag("VIP", actor=None, now=NOW) == (0, 0)
