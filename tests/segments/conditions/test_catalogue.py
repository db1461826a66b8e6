"""Every field of the catalogue: says what it is, takes every operator of its type on known and unknown values, offers what the data has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from leads.models import Activity, Company, Contact, CustomField, Deal, Mark, Signal
from segments.conditions import Catalogue, Field, Judge, check, match_ids, read_facts
from segments.conditions.fields import TYPES
from segments.conditions.operators import operators_for
from segments.field_help import HELP
from tests.makers import NOW, make_activity, make_contact, make_deal, make_owner
from tests.segments.conditions.asking import at
from tests.segments.conditions.test_operators import CHOICE, DATE, LATER, NUMBER, SEVERAL, TEXT, Row

pytestmark = pytest.mark.django_db

YES_NO: dict[str, Row] = {"is_true": ((), ()), "is_false": ((), ())}
CASES: dict[str, dict[str, Row]] = {
    "text": TEXT,
    "number": NUMBER,
    "yes_no": YES_NO,
    "choice": CHOICE,
    "choices": SEVERAL,
    "date": DATE,
    "moment": DATE,
}
VALUES: dict[str, Any] = {
    "text": "Müller GmbH",
    "number": Decimal("12.5"),
    "yes_no": True,
    "choice": "Pro",
    "choices": ["a", "B"],
    "date": date(2026, 2, 27),
    "moment": datetime.fromisoformat("2026-02-27T12:00:00+00:00"),
}
# Fields whose values are not free: their own comparisons, one that holds and one that does not.
WHOLE: dict[str, Row] = {
    "is": ((12,), (13,)),
    "at_least": ((12,), (13,)),
    "is_not": ((13,), (12,)),
    "less_than": ((13,), (12,)),
    "at_most": ((12,), (11,)),
    "more_than": ((11,), (12,)),
    "between": (([12, 20],), ([13, 20],)),
    "not_between": (([13, 14],), ([12, 12],)),
}


def closed(mine: str, other: str) -> dict[str, Row]:
    return {
        "is": ((mine.upper(),), (other,)),
        "is_not": ((other,), (mine,)),
        "in": (([mine, other],), ([other],)),
        "not_in": (([other],), ([mine, other],)),
    }


SPECIAL: dict[str, tuple[Any, dict[str, Row]]] = {
    "contact.stage": ("mql", closed("mql", "customer")),
    "company.employees": (12, WHOLE),
    "company.founded": (12, WHOLE),
    "deal.status": ("won", closed("won", "lost")),
    "activity.kind": ("download", closed("download", "page_view")),
}
ALWAYS_KNOWN = {
    "contact.external_id", "contact.email", "contact.stage", "contact.created_at", "contact.updated_at", "deal.status", "activity.kind",
    "activity.occurred_at",
}  # fmt: skip
# What lies ahead of `at` does not exist, so nothing is ever ahead.
NEVER_AHEAD = {"deal.opened_on", "deal.closed_on", "activity.occurred_at"}
# Fields that are no column of these rows; other tests hold them.
ELSEWHERE = {"contact.persona", "contact.owner", "contact.last_activity_at"}
FACTS = sorted(set(HELP) - ELSEWHERE)
CUSTOM = [f"{of}.custom.{type}" for of in CustomField.Of.values for type in CustomField.Type.values]
FLAVOURS = {
    "long_text": "text",
    "email": "text",
    "url": "text",
    "phone": "text",
    "money": "number",
    "country": "choice",
}


def stored(key: str, type: str, op: str) -> Any:
    """The value of the person who has one."""
    if key in SPECIAL:
        return SPECIAL[key][0]
    if type == "yes_no":
        return op == "is_true"
    if type in ("date", "moment") and op in LATER:
        day = {"in_next": "2026-09-01", "next": "2026-06-15"}[op]
        return date.fromisoformat(day) if type == "date" else datetime.fromisoformat(day + "T12:00:00+00:00")
    return VALUES[type]


def as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def make(key: str, value: Any) -> dict[str, Any]:
    """Two people, the first with the value and the second without if one can be; and what a comparison of the field stands in."""
    subject, _dot, name = key.partition(".")
    custom = name.removeprefix("custom.") if name.startswith("custom.") else ""
    values: dict[str, Any] = {"custom": {custom: as_json(value)}} if custom else {name: value}
    match subject:
        case "contact":
            blank = {} if key in ALWAYS_KNOWN or custom else {name: None if value is None else type(value)()}
            if name == "email":
                make_contact(email=value)
                make_contact()
            else:
                make_contact(**values)
                make_contact(**blank)
        case "company":
            make_contact(company=values)
            make_contact(company=None)
        case "deal":
            ann, bob = make_contact(), make_contact()
            plain: dict[str, Any] = {"status": "won", "amount": None, "opened_on": date(2026, 1, 1)}
            make_deal(ann, **plain | values)
            lone = make_deal(bob, **plain | ({"status": "lost"} if key == "deal.status" else {}))
            if key == "deal.opened_on":
                Deal.objects.filter(pk=lone.pk).update(opened_on=None)
            return {"has": "deal"}
        case "activity":
            ann, bob = make_contact(), make_contact()
            kind, moment = (value, NOW) if name == "kind" else ("page_view", value if name == "occurred_at" else NOW)
            text = {name: value} if name in ("url", "subject", "source") else {}
            make_activity(ann, kind, at=moment, **text)
            make_activity(bob, "email_open", at=NOW - timedelta(days=900))
            return {"did": "any"}
    return {}


class Asked:
    """Whom a document holds for: SQL and the verdict in Python, which must be the same."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.facts = read_facts(Contact.objects.values_list("pk", flat=True))
        self.judge = Judge(at(), catalogue=self.catalogue)
        self.names = dict(zip(sorted(self.facts), ("known", "unknown"), strict=True))

    def who(self, document: dict[str, Any]) -> set[str]:
        tree = check(document, catalogue=self.catalogue, allow_unknown_slugs=True)
        found = {number for number, facts in self.facts.items() if self.judge.holds(tree, facts)}
        assert set(match_ids(tree, at(), catalogue=self.catalogue)) == found, document
        return {self.names[number] for number in found}


def compared(key: str, op: str, arguments: tuple[Any, ...], inside: dict[str, Any]) -> dict[str, Any]:
    name = key.partition(".")[2] if inside else key
    leaf: dict[str, Any] = {"field": name, "op": op}
    leaf |= dict(zip(("value", "unit"), arguments, strict=False))
    return {**inside, "where": [leaf]} if inside else leaf


@pytest.mark.parametrize("key", [*FACTS, *CUSTOM])
def test_a_field_takes_every_operator_of_its_type(key: str) -> None:
    """Cases come from the table of operators: a new operator without one fails here, for every field of its types."""
    if ".custom." in key:
        of, _custom, type_name = key.split(".")
        CustomField.objects.create(of=of, key=type_name, label=key, type=type_name)
    spec = Catalogue().get(key)
    assert spec is not None
    cases = SPECIAL[key][1] if key in SPECIAL else CASES[spec.type]
    is_known_always = key in ALWAYS_KNOWN
    asked: Asked | None = None
    last: Any = None
    inside: dict[str, Any] = {}
    for op, operator in operators_for(spec.type).items():
        if op in ("is_known", "is_unknown"):
            continue
        value = stored(key, spec.type, op)
        if asked is None or value != last:
            clear()
            inside, last = make(key, value), value
            asked = Asked()
        if spec.type == "yes_no":
            assert asked.who(compared(key, op, (), inside)) == {"known"}
            assert asked.who(compared(key, "is_false" if op == "is_true" else "is_true", (), inside)) == set()
            continue
        holds, fails = cases[op]
        if op in LATER and key in NEVER_AHEAD:
            assert asked.who(compared(key, op, holds, inside)) == set()
            continue
        assert "known" in asked.who(compared(key, op, holds, inside)), op
        assert "known" not in asked.who(compared(key, op, fails, inside)), op
        if not is_known_always:
            expected = {"known", "unknown"} if operator.negates else {"known"}
            assert asked.who(compared(key, op, holds, inside)) == expected, op
            assert asked.who(compared(key, op, fails, inside)) == expected - {"known"}, op
            assert asked.who({"not": compared(key, op, holds, inside)}) == {"known", "unknown"} - expected, op
    assert asked is not None
    assert asked.who(compared(key, "is_known", (), inside)) == {"known"} | ({"unknown"} if is_known_always else set())
    assert asked.who(compared(key, "is_unknown", (), inside)) == (set() if is_known_always else {"unknown"})


def clear() -> None:
    for model in (Activity, Signal, Deal, Contact, Company):
        model.objects.all().delete()


def test_every_field_of_the_facts_is_tried() -> None:
    listed = {field.key for field in Catalogue().fields() if field.key.partition(".")[0] in ("contact", "company")}
    listed |= {field.key for subject in ("activity", "deal") for field in Catalogue().fields(subject)}
    assert listed == set(HELP)
    assert {"contact.stage", *ELSEWHERE} <= listed


def everything() -> list[Field]:
    """Every field that an instance with one custom field of each type, consents, scores and BANT knows."""
    for of in CustomField.Of.values:
        for type in CustomField.Type.values:
            CustomField.objects.create(of=of, key=f"k_{type}", label=type, type=type, help="Ours.")
    make_activity(make_contact(), properties={"amount": 5})
    catalogue = Catalogue()
    return [*catalogue.fields(), *(field for subject in ("activity", "deal") for field in catalogue.fields(subject))]


def test_every_field_says_what_it_is() -> None:
    found = everything()
    assert len({field.key for field in found}) == len(found)
    facets = {int(facet) for facet in Mark.Facet}
    for field in found:
        assert field.type in TYPES, field.key
        assert str(field.label), field.key
        assert str(field.group), field.key
        assert str(field.help), field.key
        assert field.facets, field.key
        assert field.facets <= facets, field.key
        needs_examples = field.type in ("text", "choice", "choices", "property")
        assert not needs_examples or field.choices or field.examples, field.key
        assert not field.is_closed or field.choices, field.key


def test_rooms_above_are_in_the_catalogue() -> None:
    keys = {field.key for field in everything()}
    assert {
        "consent.marketing",
        "score.default.total",
        "score.default.fit",
        "score.default.grade",
        "bant.budget",
    } <= keys
    assert {subject.key for subject in Catalogue().subjects()} == {"in_segment", "in_persona", "in_program"}
    assert [related.key for related in Catalogue().all_related()] == ["deal"]


def _contact(**values: Any) -> None:
    make_contact(**values)


@pytest.mark.parametrize(
    ("key", "store", "typed", "offered"),
    [
        ("contact.title", lambda: _contact(title="VP Sales"), "SAL", ["VP Sales"]),
        ("contact.tags", lambda: _contact(tags=["Partner", "Beta"]), "part", ["Partner"]),
        ("contact.country", lambda: _contact(country="DE"), "d", ["DE"]),
        ("contact.owner", lambda: make_owner("Zoë Ölmann"), "ölm", ["Zoë Ölmann"]),
        ("company.industry", lambda: _contact(company={"industry": "Stahl"}), "sta", ["Stahl"]),
        ("activity.url", lambda: make_activity(make_contact(), url="https://x.test/Pricing"), "/pric", ["https://x.test/Pricing"]),
        ("activity.properties.plan", lambda: make_activity(make_contact(), properties={"plan": "Pro"}), "p", ["Pro"]),
        ("activity.properties.plan", lambda: make_activity(make_contact(), properties={"plan": ["a", "b"]}), "", ["a", "b"]),
        ("activity.properties.plan", lambda: make_activity(make_contact(), properties={"plan": {"deep": 1}}), "", []),
        ("deal.product", lambda: make_deal(make_contact(), product="GTX Pro"), "pro", ["GTX Pro"]),
    ],
)  # fmt: skip
def test_examples_come_from_the_data(key: str, store: Callable[[], Any], typed: str, offered: list[str]) -> None:
    store()
    spec = Catalogue().get(key)
    assert spec is not None
    assert spec.examples is not None
    assert list(spec.examples(typed)) == offered
    assert list(spec.examples("nothing like it")) == []
