"""The list of contacts: search, filters, order, keyset pages, columns, bulk actions, export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan
from django.test import Client
from django.urls import reverse

from leads import lists
from leads.access import ADMIN, MARKETER, SALES
from leads.lists import ContactQuery
from leads.models import AuditEntry, Company, Contact, CustomField, Mark, StageMove
from leads.queries import frequent_values
from leads.workspace import workspace
from segments.models import Membership, Segment
from tests.makers import NOW, clear_marks, make_activity, make_company, make_contact, make_deal, make_owner, make_user

pytestmark = pytest.mark.django_db
LIST = "/contacts/"


def names(contacts: Iterable[Contact]) -> list[str]:
    return [contact.first_name for contact in contacts]


def found(**parameters: str) -> list[str]:
    return sorted(names(ContactQuery.read(parameters).contacts()))


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


# --- Search ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("müll", ["Anna"]),
        ("MÜLLER", ["Anna"]),
        ("müller anna", ["Anna"]),
        ("anna nobody", []),
        ("anna@x.test", ["Anna"]),
        ("crm-7", ["Anna"]),
        ("서연", ["서연"]),
        ("김", ["서연"]),
        ("acme", ["Anna", "Bob"]),
        ("acme bob", ["Bob"]),
        ("100%", ["Percy"]),
        ("0_%", []),
        ("\\", ["Percy"]),
        ("", ["Anna", "Bob", "Percy", "서연"]),
        ("a\x00nna", ["Anna"]),
    ],
)
def test_search(text: str, expected: list[str]) -> None:
    acme = make_company("Acme Müllabfuhr")
    make_contact("anna@x.test", first_name="Anna", last_name="Müller", external_id="CRM-7", company=acme)
    make_contact("bob@x.test", first_name="Bob", last_name="Stone", company=make_company("ACME Bobbins"))
    make_contact("seo@x.test", first_name="서연", last_name="김")
    make_contact("percy@x.test", first_name="Percy", last_name="100%\\")
    if text == "müll":  # the company's name matches, too
        expected = ["Anna"]
    if text == "acme bob":  # every word in the company's name, or every word in the person's
        expected = ["Bob"]
    assert found(q=text) == expected


def test_search_uses_the_trigram_indexes() -> None:
    """Were the expression spelt otherwise than the index, a million rows would be read: 350 ms against 1–25."""
    contacts = ContactQuery.read({"q": "müller"}).contacts()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = contacts.explain()
    assert "leads_contact_search" in plan
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    make_company()
    assert "leads_company_search" in lists.search_companies(Company.objects.all(), ["acme"]).explain()


# --- Filters ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def people() -> dict[str, Any]:
    owner, acme = make_owner("Ana"), make_company("Acme")
    anna = make_contact(
        first_name="Anna", stage="mql", owner=owner, company=acme, source="paid", country="DE", tags=["vip"]
    )
    bob = make_contact(first_name="Bob", stage="customer", source="social", country="Atlantis", tags=["VIP", "x"])
    make_deal(bob, status="won")
    make_deal(anna, status="lost")
    StageMove.objects.create(contact=anna, moved_at=NOW, from_stage="inquiry", to_stage="mql", cause="by_hand")
    Contact.objects.filter(pk=bob.pk).update(created_at=NOW - timedelta(days=90))
    return {"owner": owner, "acme": acme}


def test_filters_of_facts(people: dict[str, Any]) -> None:
    assert found(stage="mql") == ["Anna"]
    assert found(owner=str(people["owner"].pk)) == ["Anna"]
    assert found(owner="none") == ["Bob"]
    assert found(source="social") == ["Bob"]
    assert found(country="Atlantis") == ["Bob"]
    assert found(tags="vip") == ["Anna"]
    assert found(deal="won") == ["Bob"]
    assert found(deal="lost") == ["Anna"]
    assert found(company=str(people["acme"].pk)) == ["Anna"]
    assert found(arrived=f"mql:{NOW.date()}") == ["Anna"]
    assert found(arrived=f"mql:{NOW.date() + timedelta(days=1)}") == []
    assert found(recorded=str(NOW.date() - timedelta(days=1))) == ["Anna"]
    assert found(stage="mql", source="social") == []


@pytest.mark.parametrize(
    "asked",
    [
        {"owner": "x"},
        {"owner": "²"},
        {"company": "-1"},
        {"arrived": "mql:soon"},
        {"arrived": "mql:2026-02-31"},
        {"recorded": "2026-13-01"},
        {"owner": "9" * 40},
    ],
)
def test_a_value_that_a_filter_cannot_read_fits_nobody(marketer: Client, asked: dict[str, str]) -> None:
    make_contact()
    response = marketer.get(LIST, asked)
    assert response.status_code == 200
    assert response.context["count"] == lists.Count(0)


def test_unknown_parameters_are_left_out(people: dict[str, Any]) -> None:
    assert found(colour="red") == ["Anna", "Bob"]


def test_a_chip_takes_its_filter_off(marketer: Client, people: dict[str, Any]) -> None:
    chips = marketer.get(LIST, {"stage": "mql", "country": "DE"}).context["chips"]
    assert [(str(shown.label), str(shown.value_label), link) for shown, link in chips] == [
        ("Stage", "MQL", "?country=DE"),
        ("Country", "Germany", "?stage=mql"),
    ]


def test_filters_suggest_what_is_there(marketer: Client, people: dict[str, Any]) -> None:
    shown = {one.key: one.choices for one in marketer.get(reverse("leads:contact-filters")).context["filters"]}
    assert shown["source"] == [("paid", "paid"), ("social", "social")]
    assert shown["country"] == [("Atlantis", "Atlantis"), ("DE", "Germany")]
    assert [str(value) for value, _label in shown["tags"]] == ["VIP", "vip", "x"]
    assert [label for _value, label in shown["owner"]] == ["Nobody", "Ana"]


def test_filters_of_few_contacts_suggest_nothing_that_nobody_has_any_more() -> None:
    gone = [make_contact(source="stand", country="FR", tags=["fair"]) for _ in range(3)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE leads_contact")
    Contact.objects.filter(pk__in=[one.pk for one in gone]).delete()
    assert frequent_values() == {"source": [], "country": [], "tags": []}


def test_a_rare_value_stays_choosable() -> None:
    query = ContactQuery.read({"source": "carrier pigeon"})
    shown = next(one for one in lists.shown_filters(query) if one.key == "source")
    assert (shown.value, shown.choices) == ("carrier pigeon", [("carrier pigeon", "carrier pigeon")])


# --- Order and pages -------------------------------------------------------------------------------------------------------


def walk(order: lists.Order, size: int) -> tuple[list[str], list[str]]:
    """Everybody by going forwards, and again by going back from the last page."""
    seen, after, pages = [], "", []
    while True:
        page = lists.page(Contact.objects.all(), order, after=after, size=size)
        pages.append(page)
        seen += names(page.rows)
        if not page.next:
            break
        after = page.next
    back = names(pages[-1].rows)
    page = pages[-1]
    while page.previous:
        page = lists.page(Contact.objects.all(), order, before=page.previous, size=size)
        back = names(page.rows) + back
    return seen, back


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pages_show_everybody_once_in_order_both_ways(size: int) -> None:
    for number, name in enumerate("cabfed"):
        make_contact(
            first_name=name,
            last_name="Same" if name in "abc" else name.upper(),
            created_at=NOW - timedelta(days=number // 3),
        )
    assert walk(lists.NEWEST, size) == (list("bacdef"), list("bacdef"))
    assert walk(lists.BY_NAME, size) == (list("defabc"), list("defabc"))


@pytest.mark.parametrize(
    "cursor", ["x", "e30", "WyJhIl0", "WzFd", "W251bGwsIG51bGxd", "WyIyMDI2LTAzLTAxIiwgMV0", "é", "A" * 5000]
)
def test_a_spoilt_cursor_is_the_first_page(marketer: Client, cursor: str) -> None:
    make_contact(first_name="Anna")
    response = marketer.get(LIST, {"after": cursor})
    assert response.status_code == 200
    assert names(row.contact for row in response.context["rows"]) == ["Anna"]


def test_the_next_page_is_read_from_the_index() -> None:
    rows = Contact.objects.all()
    page = lists.page(rows.filter(pk=make_contact().pk), lists.NEWEST)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    after = lists._position(lists._cursor(page.rows[0], {"order_0": 0, "order_1": 0}), lists.NEWEST)
    assert after is not None
    plan = (
        rows.filter(TupleLessThan(Tuple(*lists.NEWEST.expressions()), after))
        .order_by("-created_at", "-id")[:3]
        .explain()
    )
    assert "leads_contact_newest" in plan
    assert "Sort" not in plan


# --- Counts ----------------------------------------------------------------------------------------------------------------


def test_counts_say_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "COUNT_UP_TO", 2)
    everybody = Contact.objects.all()
    make_contact()
    make_contact()
    assert lists.count(everybody, is_everything=True) == lists.Count(2, "exactly")
    make_contact()
    assert lists.count(everybody, is_everything=False) == lists.Count(2, "more_than")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE leads_contact")
    assert lists.count(everybody, is_everything=True) == lists.Count(3, "about")


def test_a_page_that_shows_everybody_is_the_count(django_assert_num_queries: Any) -> None:
    make_contact()
    page = lists.page(Contact.objects.all(), lists.NEWEST)
    with django_assert_num_queries(0):
        assert lists.count(Contact.objects.all(), is_everything=True, page=page) == lists.Count(1)


@pytest.mark.parametrize("people_count", [1, 3])
def test_fifteen_statements_at_most_whatever_the_rows(
    marketer: Client, people_count: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(people_count):
        contact = make_contact(company=make_company(), owner=make_owner(), tags=["a"])
        make_activity(contact)
    workspace()  # made by the first request of an instance
    with django_assert_max_num_queries(13):
        marketer.get(LIST)


def test_the_fragment_is_what_the_page_includes(marketer: Client) -> None:
    make_contact(first_name="Anna")
    fragment = marketer.get(LIST, headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith('<div id="contact-list">')
    assert "<html" not in fragment
    assert "Anna" in fragment


def test_empty_lists_say_what_to_do(marketer: Client) -> None:
    assert "Import contacts" in marketer.get(LIST).content.decode()
    assert "Show everybody" in marketer.get(LIST, {"stage": "mql"}).content.decode()


# --- Columns ---------------------------------------------------------------------------------------------------------------


def test_chosen_columns_are_kept(marketer: Client) -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    contact = make_contact(custom={"plan": "pro"}, country="DE", tags=["a", "b"])
    make_activity(contact, at=NOW)
    marketer.post(
        reverse("leads:contact-columns"),
        {"column": ["custom.plan", "country", "tags", "last_activity", "no-such"], "back": "?stage=inquiry"},
    )
    rows = marketer.get(LIST).context["rows"]
    assert {cell.column.key: cell.value for cell in rows[0].cells} == {
        "last_activity": NOW,
        "tags": ["a", "b"],
        "country": "DE",
        "custom.plan": "pro",
    }
    marketer.post(reverse("leads:contact-columns"), {"reset": "yes", "column": ["country"]})
    shown = [column.key for column in marketer.get(LIST).context["columns"]]
    assert shown == [column.key for column in lists.contact_columns() if column.is_default]


def test_names_from_outside_are_escaped(marketer: Client) -> None:
    make_contact(first_name="<script>alert(1)</script>", tags=["<b>"], custom={})
    content = marketer.get(LIST).content.decode()
    assert "<script>alert" not in content
    assert "&lt;script&gt;alert(1)" in content


# --- Bulk actions ----------------------------------------------------------------------------------------------------------


def test_bulk_tagging_the_chosen(marketer: Client) -> None:
    anna, bob = make_contact(), make_contact()
    clear_marks()
    response = marketer.post(
        reverse("leads:contact-bulk"),
        {"action": "add_tag", "value": "vip", "chosen": [anna.pk], "back": "?stage=inquiry&after=x"},
    )
    assert response["Location"] == "/contacts/?stage=inquiry"
    anna.refresh_from_db()
    bob.refresh_from_db()
    assert (anna.tags, bob.tags) == (["vip"], [])
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(anna.pk, Mark.Facet.CONTACT)]


def test_bulk_over_everybody_found(marketer: Client) -> None:
    owner = make_owner("Ana")
    anna, bob = make_contact(stage="mql"), make_contact(stage="customer")
    asked = {"action": "set_owner", "value": str(owner.pk), "everyone": "yes", "back": "?stage=mql"}
    marketer.post(reverse("leads:contact-bulk"), asked)
    anna.refresh_from_db()
    bob.refresh_from_db()
    assert (anna.owner, bob.owner) == (owner, None)
    marketer.post(reverse("leads:contact-bulk"), asked | {"value": "none"})
    anna.refresh_from_db()
    assert anna.owner is None


def test_bulk_into_a_fixed_segment(marketer: Client) -> None:
    segment = Segment.objects.create(slug="fair", name="Met at the fair", mode="fixed")
    Segment.objects.create(slug="rule", name="By rule", mode="dynamic", conditions={"all": []})
    contact = make_contact()
    assert "add_to_segment" in [action.key for action in marketer.get(LIST).context["bulk_actions"]]
    shown = marketer.get(reverse("leads:contact-bulk-value"), {"action": "add_to_segment"})
    assert shown.context["choices"] == [("fair", "Met at the fair")]
    assert marketer.get(reverse("leads:contact-bulk-value"), {"action": "add_tag"}).status_code == 404
    asked = {"action": "add_to_segment", "chosen": str(contact.pk)}
    marketer.post(reverse("leads:contact-bulk"), asked | {"value": "fair"})
    stay = Membership.objects.get()
    assert (stay.segment, stay.contact, stay.why) == (segment, contact, "by_hand")
    refused = marketer.post(reverse("leads:contact-bulk"), asked | {"value": "rule"}, follow=True)
    assert "Choose a fixed segment" in refused.content.decode()


def test_bulk_refuses_too_many(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "COUNT_UP_TO", 1)
    make_contact()
    make_contact()
    response = marketer.post(
        reverse("leads:contact-bulk"), {"action": "add_tag", "value": "vip", "everyone": "yes"}, follow=True
    )
    assert "narrow the list first" in response.content.decode()
    assert not Contact.objects.filter(tags__contains=["vip"]).exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"action": "explode"}, "Choose what to do."),
        ({"action": "add_tag", "value": "  "}, "A tag needs a name."),
        ({"action": "set_owner", "value": "99999999"}, "Choose an owner."),
    ],
)
def test_bulk_says_what_is_wrong(marketer: Client, asked: dict[str, str], words: str) -> None:
    contact = make_contact()
    response = marketer.post(reverse("leads:contact-bulk"), asked | {"chosen": str(contact.pk)}, follow=True)
    assert words in response.content.decode()


# --- Export ----------------------------------------------------------------------------------------------------------------


def exported(client: Client, **asked: str) -> list[list[str]]:
    response = client.get(reverse("leads:contact-export"), asked)
    assert response.status_code == 200
    text = b"".join(response).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_export_is_formula_safe_and_audited(client: Client) -> None:
    user = make_user(ADMIN)
    client.force_login(user)
    make_contact("a@x.test", external_id="c1", first_name="=1+1", last_name='a,"b"', stage="mql", phone="+49 30 1")
    make_contact("b@x.test", external_id="c2", stage="customer")
    header, *rows = exported(client, stage="mql", columns="all")
    row = dict(zip(header, rows[0], strict=True))
    assert len(rows) == 1
    assert (row["external_id"], row["email"], row["first_name"], row["last_name"]) == (
        "c1",
        "a@x.test",
        "'=1+1",
        'a,"b"',
    )
    assert (row["stage"], row["phone"]) == ("mql", "+49 30 1")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.object_kind, entry.detail["question"]) == (
        user,
        "exported",
        "contacts",
        "?stage=mql",
    )


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=cmd()", "'=cmd()"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("-1.5", "-1.5"),
        ("+49 (30) 12-3", "+49 (30) 12-3"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_cells_that_begin_a_formula_are_quoted(text: str, safe: str) -> None:
    assert lists.safe_cell(text) == safe


def test_export_reads_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "EXPORT_CHUNK", 2)
    ids = [make_contact().external_id for _ in range(5)]
    assert [row[0] for row in lists.export_rows(Contact.objects.all(), [])] == ["external_id", *ids]


def test_sales_may_not_export(client: Client) -> None:
    client.force_login(make_user(SALES))
    assert client.get(reverse("leads:contact-export")).status_code == 403
    assert "contacts/export" not in client.get(LIST).content.decode()


# --- Companies and deals ---------------------------------------------------------------------------------------------------


def test_company_list_counts_for_the_page(marketer: Client) -> None:
    acme = make_company("Acme")
    make_company("Zebra")
    contact = make_contact(company=acme)
    make_contact(company=acme)
    make_deal(contact, company=acme, status="won", amount=100)
    make_deal(contact, company=acme, status="open")
    rows = marketer.get("/companies/").context["rows"]
    assert [
        (company.name, people, deals and (deals["open"], deals["won"], deals["won_amount"]))
        for company, people, deals in rows
    ] == [
        ("Acme", 2, (1, 1, 100)),
        ("Zebra", 0, None),
    ]
    assert [company.name for company, _people, _deals in marketer.get("/companies/", {"q": "ZEB"}).context["rows"]] == [
        "Zebra"
    ]


def test_company_page(marketer: Client) -> None:
    acme = make_company("Acme", employees=60)
    contact = make_contact(first_name="Anna", company=acme)
    make_deal(contact, company=acme, status="lost", product="GTX Pro")
    make_activity(contact, "download", subject="White paper")
    response = marketer.get(reverse("leads:company-detail", args=[acme.pk]))
    content = response.content.decode()
    assert all(words in content for words in ("Anna", "GTX Pro", "Download: White paper"))
    assert response.context["figures"] == {"open": 0, "won": 0, "lost": 1, "won_amount": None}


def test_deals_can_be_asked_for_what_they_lack(marketer: Client) -> None:
    contact, acme = make_contact(), make_company("Acme")
    make_deal(contact, external_id="complete", company=acme)
    make_deal(contact, external_id="no-company")
    make_deal(external_id="no-people", company=acme)
    dateless = make_deal(contact, external_id="no-date", company=acme)
    dateless.opened_on = None
    dateless.save()

    def told(**asked: str) -> list[str]:
        return sorted(deal.external_id for deal in marketer.get("/deals/", asked).context["page"].rows)

    assert told(lacks="company") == ["no-company"]
    assert told(lacks="contacts") == ["no-people"]
    assert told(lacks="opened_on") == ["no-date"]
    assert told(q="ACME") == ["complete", "no-date", "no-people"]
    assert told(q="complete") == ["complete"]
    assert told(status="won") == []


def test_deal_page(marketer: Client) -> None:
    deal = make_deal(make_contact(first_name="Anna"), status="lost", loss_reason="Too dear", closed_on=date(2026, 3, 1))
    content = marketer.get(reverse("leads:deal-detail", args=[deal.pk])).content.decode()
    assert all(words in content for words in ("Anna", "Too dear", "1 March 2026"))
