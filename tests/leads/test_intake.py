"""Rows taken in: keys, references, order within a batch, marks, and that the same rows again change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leads import intake
from leads.intake import Circumstances, Outcome, Row
from leads.models import Activity, ActivityKey, Company, Contact, Deal, Mark, Owner, Signal, StageMove
from leads.queries_intake import shadow
from tests.makers import NOW, clear_marks, make_company, make_contact, make_deal

pytestmark = pytest.mark.django_db


def take(kind: str, *values: dict[str, Any], **circumstances: Any) -> Outcome:
    rows = [Row(line, dict(row)) for line, row in enumerate(values, start=1)]
    return intake.take(kind, rows, Circumstances(**{"now": NOW, **circumstances}))


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.created, outcome.updated, outcome.unchanged, len(outcome.rejected)


def facets() -> list[tuple[int, int]]:
    return sorted(Mark.objects.values_list("contact_id", "facet"))


CONTACTS: list[dict[str, Any]] = [
    {
        "external_id": "c1",
        "email": "a@x.test",
        "title": "VP",
        "company": "acme",
        "tags": ["x"],
        "custom": {"plan": "pro"},
    },
    {"external_id": "c2", "owner": "Moses Frase", "stage": "mql"},
    {"email": "b@x.test", "created_at": NOW - timedelta(days=400)},
]


def test_contacts_are_made_and_the_second_time_nothing_changes() -> None:
    acme = make_company("Acme", external_id="acme")
    assert counts(take("contacts", *CONTACTS)) == (3, 0, 0, 0)
    one = Contact.objects.get(external_id="c1")
    assert (one.email, one.title, one.company, one.tags, one.custom, one.stage) == (
        "a@x.test",
        "VP",
        acme,
        ["x"],
        {"plan": "pro"},
        "inquiry",
    )
    two = Contact.objects.get(external_id="c2")
    assert (two.owner, two.stage, two.created_at) == (Owner.objects.get(name="Moses Frase"), "mql", NOW)
    assert Contact.objects.get(email="b@x.test").created_at == NOW - timedelta(days=400)
    assert facets() == sorted((contact.pk, facet) for contact in Contact.objects.all() for facet in range(1, 6))
    clear_marks()
    assert counts(take("contacts", *CONTACTS)) == (0, 0, 3, 0)
    assert (facets(), StageMove.objects.count()) == ([], 0)


def test_an_absent_key_leaves_a_value_and_null_clears_it() -> None:
    make_company(external_id="acme")
    take("contacts", CONTACTS[0])
    assert counts(take("contacts", {"external_id": "c1", "first_name": "Ada"})) == (0, 1, 0, 0)
    contact = Contact.objects.get(external_id="c1")
    assert (contact.title, contact.first_name, contact.tags, contact.custom) == ("VP", "Ada", ["x"], {"plan": "pro"})
    cleared: dict[str, Any] = {"title": None, "company": None, "tags": None, "email": None, "custom": {"plan": None}}
    assert counts(take("contacts", {"external_id": "c1", **cleared})) == (0, 1, 0, 0)
    contact.refresh_from_db()
    assert (contact.title, contact.company, contact.tags, contact.custom, contact.email) == ("", None, [], {}, None)


def test_only_what_changed_is_marked() -> None:
    acme = make_company(external_id="acme")
    one, two, three = make_contact(external_id="c1"), make_contact(external_id="c2"), make_contact(external_id="c3")
    take(
        "contacts",
        {"external_id": "c1", "title": "CFO"},
        {"external_id": "c2", "company": "acme"},
        {"external_id": "c3"},
    )
    assert facets() == [(one.pk, Mark.Facet.CONTACT), (two.pk, Mark.Facet.CONTACT), (two.pk, Mark.Facet.COMPANY)]
    clear_marks()
    take("contacts", {"external_id": "c3", "email": "new@x.test"})
    assert facets() == [(three.pk, Mark.Facet.CONTACT), (three.pk, Mark.Facet.CONSENT)]
    two.refresh_from_db()
    assert two.company == acme


def test_a_stage_that_changes_is_a_move_with_its_history() -> None:
    contact = make_contact(external_id="c1")
    take("contacts", {"external_id": "c1", "stage": "customer"}, cause="import:7")
    move = StageMove.objects.get()
    assert (move.contact, move.from_stage, move.to_stage, move.cause, move.moved_at) == (
        contact,
        "inquiry",
        "customer",
        "import:7",
        NOW,
    )
    contact.refresh_from_db()
    assert (contact.stage, contact.stage_since) == ("customer", NOW)


def test_an_address_of_another_external_id_is_rejected() -> None:
    make_contact("a@x.test", external_id="c1")
    outcome = take("contacts", {"external_id": "c2", "email": "a@x.test"}, {"external_id": "c3"})
    assert counts(outcome) == (1, 0, 0, 1)
    assert outcome.rejected == [(1, "the e-mail a@x.test belongs to c1")]


def test_a_contact_known_by_address_gets_its_external_id() -> None:
    contact = make_contact("a@x.test", external_id=None)
    assert counts(take("contacts", {"external_id": "c1", "email": "a@x.test", "title": "CFO"})) == (0, 1, 0, 0)
    contact.refresh_from_db()
    assert (contact.external_id, contact.title) == ("c1", "CFO")


def test_two_contacts_are_never_joined_by_a_row_that_names_both() -> None:
    make_contact("a@x.test", external_id="c1")
    make_contact("b@x.test", external_id=None)
    outcome = take("contacts", {"external_id": "c1", "email": "b@x.test"})
    assert outcome.rejected == [(1, "the e-mail b@x.test belongs to a contact without external id")]


def test_repeated_keys_meet_what_the_earlier_row_left() -> None:
    rows: list[dict[str, Any]] = [
        {"external_id": "c1", "email": "a@x.test", "title": "Clerk"},
        {"external_id": "c1", "title": "CFO"},
        {"email": "a@x.test", "title": "CFO"},
        {"external_id": "c2", "email": "a@x.test"},
        {"external_id": "c1", "email": "b@x.test"},
        {"external_id": "c2", "email": "a@x.test"},
    ]
    outcome = take("contacts", *rows)
    assert counts(outcome) == (2, 2, 1, 1)
    assert [line for line, _reason in outcome.rejected] == [4]
    assert sorted(Contact.objects.values_list("external_id", "email", "title")) == [
        ("c1", "b@x.test", "CFO"),
        ("c2", "a@x.test", ""),
    ]


def test_a_contact_keeps_at_least_one_key() -> None:
    make_contact("a@x.test", external_id=None)
    outcome = take("contacts", {"email": "a@x.test", "external_id": None}, {"external_id": "c9", "email": None})
    assert counts(outcome) == (1, 0, 1, 0)
    make_contact("b@x.test", external_id="c1")
    assert counts(take("contacts", {"external_id": "c1", "email": None})) == (0, 1, 0, 0)


def test_an_unknown_company_is_rejected_and_a_name_serves_as_key() -> None:
    acme = make_company("Acme GmbH", external_id="acme")
    make_company("Twin")
    make_company("twin")
    outcome = take(
        "contacts",
        {"external_id": "c1", "company": "acme gmbh"},
        {"external_id": "c2", "company": "Nobody"},
        {"external_id": "c3", "company": "Twin"},
    )
    assert outcome.rejected == [(2, "unknown company “Nobody”"), (3, "2 companies are called “Twin”")]
    assert Contact.objects.get().company == acme


def test_companies_by_external_id_else_by_name() -> None:
    rows: list[dict[str, Any]] = [
        {"external_id": "acme", "name": "Acme", "employees": 12, "country": "DE"},
        {"name": "Beta", "revenue": 3},
        {"name": "BETA", "founded": 1999},
        {"external_id": "gamma"},
    ]
    assert counts(take("companies", *rows)) == (3, 1, 0, 0)
    assert counts(take("companies", *rows)) == (0, 2, 2, 0)  # the two spellings of Beta take turns
    assert counts(take("companies", {"external_id": "b", "name": "beta"})) == (0, 1, 0, 0)
    assert sorted(Company.objects.values_list("external_id", "name", "founded")) == [
        ("acme", "Acme", None),
        ("b", "beta", 1999),
        ("gamma", "gamma", None),
    ]


def test_a_changed_company_marks_its_people() -> None:
    acme = make_company("Acme", external_id="acme")
    contact = make_contact(company=acme)
    make_contact()
    take("companies", {"external_id": "acme", "name": "Acme"})
    assert facets() == []
    take("companies", {"external_id": "acme", "employees": 12})
    assert facets() == [(contact.pk, Mark.Facet.COMPANY)]


def test_deals_with_their_contacts() -> None:
    one, two = make_contact("a@x.test", external_id="c1"), make_contact("b@x.test", external_id="c2")
    make_company("Acme", external_id="acme")
    deal: dict[str, Any] = {
        "external_id": "d1",
        "company": "Acme",
        "contacts": ["c1", "B@x.test"],
        "status": "won",
        "amount": 12,
    }
    assert counts(take("deals", deal)) == (1, 0, 0, 0)
    assert set(Deal.objects.get().contacts.all()) == {one, two}
    assert facets() == [(one.pk, Mark.Facet.DEAL), (two.pk, Mark.Facet.DEAL)]
    clear_marks()
    assert counts(take("deals", deal)) == (0, 0, 1, 0)
    assert facets() == []
    assert counts(take("deals", {"external_id": "d1", "status": "won", "contacts": ["c2"]})) == (0, 1, 0, 0)
    assert facets() == [(one.pk, Mark.Facet.DEAL), (two.pk, Mark.Facet.DEAL)]
    assert counts(take("deals", {"external_id": "d1", "status": "lost"}, {"external_id": "d1", "status": "lost"})) == (
        0,
        1,
        1,
        0,
    )
    assert list(Deal.objects.get().contacts.all()) == [two]


def test_deals_of_unknown_people_are_rejected() -> None:
    outcome = take(
        "deals",
        {"external_id": "d1", "status": "won", "contacts": ["c9"]},
        {"external_id": "d2", "status": "won", "company": "Nobody"},
        {"external_id": "d3", "status": "open", "contacts": []},
    )
    assert outcome.rejected == [(2, "unknown company “Nobody”"), (1, "unknown contact “c9”")]
    assert counts(outcome) == (1, 0, 0, 2)


def activity(**values: Any) -> dict[str, Any]:
    return {"contact": "c1", "kind": "page_view", "occurred_at": NOW, **values}


def test_activities_are_stored_once() -> None:
    contact = make_contact(external_id="c1")
    rows = [
        activity(url="/a"),
        activity(url="/a"),
        activity(url="/b"),
        activity(external_id="e1", properties={"n": 1}),
        activity(external_id="e1", properties={"n": 1}),
        activity(contact="nobody"),
    ]
    outcome = take("activities", *rows)
    assert counts(outcome) == (3, 0, 2, 1)
    assert outcome.rejected == [(6, "unknown contact “nobody”")]
    assert Signal.objects.get(contact=contact).n == Activity.objects.count() == 3
    clear_marks()
    assert counts(take("activities", *rows)) == (0, 0, 5, 1)
    assert facets() == []


def test_an_activity_that_says_something_new_is_corrected_with_its_signals() -> None:
    one, two = make_contact(external_id="c1"), make_contact(external_id="c2")
    take("activities", activity(external_id="e1", url="/a", properties={"n": 1}), activity(external_id="e2"))
    clear_marks()
    earlier = NOW - timedelta(days=70)
    outcome = take("activities", activity(external_id="e1", contact="c2", kind="download", occurred_at=earlier))
    assert counts(outcome) == (0, 1, 0, 0)
    moved = Activity.objects.get(contact=two)
    assert moved.asset is not None
    assert (moved.kind.slug, moved.occurred_at, moved.asset.url, moved.properties) == (
        "download",
        earlier,
        "/a",
        {"n": 1},
    )
    assert sorted(Signal.objects.values_list("contact_id", "kind__slug", "n")) == [
        (one.pk, "page_view", 1),
        (two.pk, "download", 1),
    ]
    assert facets() == [(one.pk, Mark.Facet.ACTIVITY), (two.pk, Mark.Facet.ACTIVITY)]
    assert ActivityKey.objects.get(external_id="e1").contact == two
    assert counts(
        take("activities", activity(external_id="e1", contact="c2", kind="download", occurred_at=earlier))
    ) == (
        0,
        0,
        1,
        0,
    )


def test_a_dry_run_tells_the_same_and_writes_nothing() -> None:
    acme = make_company("Acme", external_id="acme", employees=1)
    make_contact("a@x.test", external_id="c1", company=acme)
    make_deal(make_contact("b@x.test", external_id="c2"), external_id="d1")
    batches: list[tuple[str, list[dict[str, Any]]]] = [
        ("companies", [{"external_id": "acme", "employees": 2}, {"name": "New"}, {"name": "new", "city": "Rom"}]),
        ("contacts", [*CONTACTS, {"external_id": "c9", "email": "a@x.test"}, {"external_id": "c1", "company": "New"}]),
        (
            "deals",
            [{"external_id": "d1", "status": "won", "contacts": ["c1"]}, {"external_id": "d2", "status": "open"}],
        ),
        ("activities", [activity(), activity(), activity(external_id="e1", url="/new"), activity(kind="brand_new")]),
        ("activities", [activity(), activity(external_id="e1", kind="call"), activity(contact="c2")]),
    ]

    def rows() -> list[list[Any]]:
        tables = (Company, Contact, Deal, Activity, ActivityKey, Signal, Mark, Owner, StageMove)
        return [list(table.objects.order_by("pk").values()) for table in tables]

    before = rows()
    with shadow() as shade:
        tried = [counts(take(kind, *values, shadow=shade)) for kind, values in batches]
    assert rows() == before
    assert [counts(take(kind, *values)) for kind, values in batches] == tried
    with shadow() as shade:
        again = [counts(take(kind, *values, shadow=shade)) for kind, values in batches]
    assert again == [counts(take(kind, *values)) for kind, values in batches]


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_statements_does_not_grow(count: int, django_assert_num_queries: Any) -> None:
    make_company(external_id="acme")
    rows: list[dict[str, Any]] = [{"external_id": f"c{n}", "company": "acme", "title": "CFO"} for n in range(count)]
    take("contacts", {"external_id": "warm", "title": "x"})
    with django_assert_num_queries(8):
        take("contacts", *rows)
