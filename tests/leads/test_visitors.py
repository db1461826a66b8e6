"""Visitors of websites: pages of anonymous ones wait apart, become activities once, and go with time."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from leads import consent, data_requests, merging, person_file, visitors
from leads.access import ADMIN, MARKETER
from leads.actions import delete_contact
from leads.addresses import address_hash
from leads.models import Activity, AuditEntry, ConsentRequest, Contact, Mark, Signal, Visitor, VisitorPage, Website
from leads.queries_visitors import Page
from leads.visitors import BadVisit
from tests.makers import NOW, make_contact, make_user

pytestmark = pytest.mark.django_db

SITE = Website(is_on=True, sites=["plant.test"])
PRICING = Page("https://plant.test/pricing", "Prices", {"utm_source": "letter"})
CLICK = Visitor.By.CLICK


def number() -> uuid.UUID:
    return uuid.uuid4()


def saw(visitor: uuid.UUID, *paths: str, at: datetime = NOW) -> None:
    for path in paths:
        visitors.note_page(visitor, Page(f"https://plant.test/{path}", path, {}), now=at)


def seen_by(contact: Contact) -> list[tuple[datetime, str]]:
    rows = Activity.objects.filter(contact=contact, kind__slug="page_view").order_by("occurred_at", "id")
    return [(row.occurred_at, row.asset.url.rpartition("/")[2]) for row in rows.select_related("asset") if row.asset]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://plant.test/a?email=ada@x.test&utm_source=letter#top", "https://plant.test/a"),
        ("https://WWW.Plant.test", "https://www.plant.test/"),
        ("http://shop.plant.test:8080/ä b".replace(" ", "%20"), "http://shop.plant.test:8080/ä%20b"),
        ("https://ada:secret@plant.test/a", "https://plant.test/a"),
    ],
)
def test_of_an_address_only_what_names_the_page_is_kept(address: str, url: str) -> None:
    page = visitors.page(address, " Prices\n", "https://search.test/?q=ada", SITE)
    assert (page.url, page.title, page.properties.get("referrer")) == (url, "Prices", "search.test")


def test_the_campaign_is_kept_and_our_own_pages_refer_to_nothing() -> None:
    page = visitors.page(
        "https://plant.test/?utm_source=letter&utm_term=&token=x", "", "https://www.plant.test/b", SITE
    )
    assert page.properties == {"utm_source": "letter"}


@pytest.mark.parametrize(
    "address",
    ["https://rival.test/", "https://plant.test.rival.test/", "https://notplant.test/", "javascript:alert(1)", "plant.test",
     "https://plant.test/a b", "https://[plant.test/",
     "https://plant.test:99999/", "https://plant.test:x/", "https://plant.test:0/", "", "https://plant.test/" + "a" * 5_000],
)  # fmt: skip
def test_a_page_of_nobody_is_refused(address: str) -> None:
    with pytest.raises(BadVisit):
        visitors.page(address, "", "", SITE)


def test_an_anonymous_visitor_marks_nobody() -> None:
    visitor = number()
    saw(visitor, "a", "b")
    row = Visitor.objects.get(pk=visitor)
    assert (row.contact_id, row.pages, VisitorPage.objects.count()) == (None, 2, 2)
    assert (Activity.objects.count(), Mark.objects.count(), Signal.objects.count()) == (0, 0, 0)


def test_what_was_seen_before_joins_the_contact_once() -> None:
    visitor, ada = number(), make_contact()
    visitors.note_page(visitor, PRICING, now=NOW)
    saw(visitor, "b", at=NOW + timedelta(hours=1))
    later = NOW + timedelta(days=2)
    assert visitors.join(visitor, ada, by=CLICK, now=later) == visitor
    assert visitors.join(visitor, ada, by=CLICK, now=later) == visitor
    saw(visitor, "c", at=later)
    assert seen_by(ada) == [(NOW, "pricing"), (NOW + timedelta(hours=1), "b"), (later, "c")]
    assert Signal.objects.get(contact=ada).n == 3
    assert VisitorPage.objects.count() == 0
    first = Activity.objects.filter(contact=ada).order_by("occurred_at").select_related("asset")[0]
    assert first.asset is not None
    assert (first.asset.subject, first.asset.source, first.properties) == (
        "Prices",
        "website",
        {"utm_source": "letter"},
    )
    row = Visitor.objects.get(pk=visitor)
    assert (row.contact_id, row.pages, row.joined_by, row.joined_at) == (ada.pk, 0, "click", later)


def test_a_browser_of_one_person_is_never_given_to_another() -> None:
    visitor, ada, bob = number(), make_contact(), make_contact()
    saw(visitor, "a")
    visitors.join(visitor, ada, by=CLICK, now=NOW)
    other = visitors.join(visitor, bob, by=CLICK, now=NOW)
    saw(other, "b")
    saw(visitor, "c")
    assert other != visitor
    assert (seen_by(ada), seen_by(bob)) == ([(NOW, "a"), (NOW, "c")], [(NOW, "b")])


def test_who_said_no_to_tracking_is_not_noted() -> None:
    visitor, ada = number(), make_contact("ada@example.test")
    visitors.join(visitor, ada, by=CLICK, now=NOW)
    consent.set_wish(address_hash("ada@example.test"), now=NOW, tracking="no")
    assert visitors.note_page(visitor, PRICING, now=NOW) is False
    assert seen_by(ada) == []


def test_an_endless_visitor_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "MOST_PAGES", 2)
    visitor = number()
    saw(visitor, "a", "b", "c")
    assert VisitorPage.objects.count() == 2


def test_forgotten_with_time() -> None:
    Website.objects.create(pk=1, days_kept=30)
    stays, gone, ada = number(), number(), make_contact()
    saw(gone, "a", at=NOW - timedelta(days=31))
    saw(stays, "a", "b", at=NOW - timedelta(days=31))
    saw(stays, "c", at=NOW)
    assert visitors.forget(NOW) == 3
    assert list(Visitor.objects.values_list("pk", "pages")) == [(stays, 1)]
    visitors.join(stays, ada, by=CLICK, now=NOW)
    assert seen_by(ada) == [(NOW, "c")]
    assert visitors.forget(NOW) == 0


def test_a_deleted_contact_leaves_an_anonymous_browser() -> None:
    visitor, ada = number(), make_contact()
    saw(visitor, "a")
    visitors.join(visitor, ada, by=CLICK, now=NOW)
    delete_contact(ada, actor=None, now=NOW)
    saw(visitor, "b")
    row = Visitor.objects.get(pk=visitor)
    assert (row.contact_id, row.pages) == (None, 1)


def test_merging_takes_the_browsers_along() -> None:
    visitor, ada, twin = number(), make_contact(), make_contact()
    visitors.join(visitor, twin, by=CLICK, now=NOW)
    merging.merge_contacts(ada, gone=twin, take={}, actor=make_user(), now=NOW)
    saw(visitor, "a")
    assert seen_by(ada) == [(NOW, "a")]


def test_a_copy_names_the_browser_and_erasing_forgets_it() -> None:
    visitor, ada = number(), make_contact()
    visitors.join(visitor, ada, by=CLICK, now=NOW)
    asked, _is_new = data_requests.ask(
        "erase", contact=ada, digest=address_hash(ada.email or ""), source="by_hand", proof={}, actor=None, now=NOW
    )
    assert person_file.counts(person_file.person_of(asked))["browsers"] == 1
    data_requests.erase(asked, note="By phone", actor=make_user(ADMIN), now=NOW)
    assert not Visitor.objects.exists()


# --- Forms of a website -----------------------------------------------------------------------------------------------------------


def ask(address: str, visitor: uuid.UUID | None) -> ConsentRequest:
    asked = visitors.ask(
        address, purposes=["newsletter"], form="Footer", visitor_id=visitor, language="de", proof={}, now=NOW
    )
    assert asked is not None
    return asked


@pytest.mark.parametrize("joins", [True, False])
def test_a_form_proves_nothing_before_it_is_confirmed(joins: bool) -> None:
    Website.objects.create(pk=1, is_on=True, sites=["plant.test"], joins_forms=joins)
    visitor, ada = number(), make_contact("ada@example.test")
    saw(visitor, "a")
    asked = ask("Ada@Example.test", visitor)
    assert (seen_by(ada), consent.state_of("ada@example.test", "newsletter")) == ([], "asked")
    assert visitors.confirm(asked, now=NOW, proof={}) == ["newsletter"]
    assert visitors.confirm(asked, now=NOW, proof={}) == []
    assert seen_by(ada) == ([(NOW, "a")] if joins else [])
    done = Activity.objects.filter(contact=ada, kind__slug="form_submit").select_related("asset")
    assert [row.asset.subject for row in done if row.asset] == ["Footer"]


def test_a_confirmed_address_that_nobody_has_becomes_a_contact() -> None:
    Website.objects.create(pk=1, is_on=True, sites=["plant.test"], joins_forms=True)
    visitor = number()
    saw(visitor, "a")
    asked = ask("new@example.test", visitor)
    assert not Contact.objects.filter(email="new@example.test").exists()
    visitors.confirm(asked, now=NOW, proof={})
    made = Contact.objects.get(email="new@example.test")
    assert (made.source, made.language, seen_by(made)) == ("website", "de", [(NOW, "a")])
    assert made.consent_events.filter(state="given").count() == 1


# --- Settings ---------------------------------------------------------------------------------------------------------------------

FORM = {
    "is_on": "on",
    "sites": "https://Plant.test/, müller.test shop.plant.test",
    "waits_for_consent": "on",
    "days_kept": "60",
}


def test_only_admins_set_websites(client: Client) -> None:
    client.force_login(make_user(MARKETER))
    assert client.post("/settings/website/", FORM).status_code == 403
    client.force_login(make_user(ADMIN))
    assert client.post("/settings/website/", FORM).status_code == 302
    row = Website.objects.get()
    assert row.sites == ["plant.test", "xn--mller-kva.test", "shop.plant.test"]
    assert (row.is_on, row.waits_for_consent, row.joins_clicks, row.days_kept) == (True, True, False, 60)
    assert AuditEntry.objects.filter(verb="set", object_kind="website").count() == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sites": ""}, "Name the websites"),
        ({"sites": "plant test!"}, "is no website"),
        ({"sites": " ".join(f"a{n}.test" for n in range(51))}, "At most 50 websites"),
        ({"days_kept": "0"}, "greater than or equal to 1"),
    ],
)
def test_the_form_says_what_does_not_fit(client: Client, changed: dict[str, str], words: str) -> None:
    client.force_login(make_user(ADMIN))
    response = client.post("/settings/website/", FORM | changed)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Website.objects.exists()


def test_the_page_tells_the_snippet(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client.force_login(make_user(ADMIN))
    saw(number(), "a")
    client.get("/settings/website/")
    with django_assert_num_queries(8):
        page = client.get("/settings/website/").content.decode()
    assert "/w/ripen.js" in page
    assert "The script does nothing until visits are noted." in page
