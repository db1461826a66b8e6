"""The script on websites and its doors: only from the websites of the settings, never for who does not want it, joined by proof alone."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from leads import consent
from leads.addresses import address_hash
from leads.models import Activity, ConsentRequest, Contact, Visitor, VisitorPage, Website
from nurture.models import Sending
from nurture.tracking import proofs
from nurture.tracking.codes import Place, seal
from nurture.views import website
from tests.makers import NOW, make_contact
from tests.nurture.makers import set_workspace
from tests.nurture.test_tracking import BROWSER, send

pytestmark = pytest.mark.django_db

ORIGIN = "https://www.ripen.test"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    set_workspace(name="Plant Metrics", postal_address="Lane 1", sender_email="ada@plant.test")
    cache.clear()
    yield
    cache.clear()


def make_website(**values: Any) -> Website:
    return Website.objects.create(pk=1, **({"is_on": True, "sites": ["ripen.test"], "joins_clicks": True} | values))


def post(door: str, document: Any, **headers: str) -> HttpResponse:
    named = {"Origin": ORIGIN, "User-Agent": BROWSER} | {key.replace("_", "-"): value for key, value in headers.items()}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Client().generic(  # type: ignore[return-value]  # the test client's response is one
        "POST", f"/w/{door}", body, content_type="text/plain", headers={key: one for key, one in named.items() if one}
    )


def visit(visitor: uuid.UUID, path: str = "/pricing", *, proof: str = "", **headers: str) -> HttpResponse:
    said = {"visitor": str(visitor), "url": f"{ORIGIN}{path}", "title": "Prices", "referrer": "", "proof": proof}
    return post("visit", said, **headers)


def number() -> uuid.UUID:
    return uuid.uuid4()


def proof_of(row: Sending) -> str:
    """What a press on the first link of the mail, of somebody with a browser, adds to the address."""
    answer = Client().get(f"/e/{seal(Place(row.pk, 1))}", headers={"User-Agent": BROWSER})
    return parse_qs(urlsplit(answer["Location"]).query).get("ripen", [""])[0]


def test_the_script_holds_the_settings(settings: Any) -> None:
    settings.PUBLIC_URL = "https://marketing.plant.test"
    make_website(waits_for_consent=False)
    answer = Client().get("/w/ripen.js")
    told = re.search(r"const settings = (\{.*\});", answer.content.decode())
    assert told is not None
    assert json.loads(told[1]) == {"base": "https://marketing.plant.test/w/", "isOn": True, "waits": False}
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert not answer.cookies


def test_a_page_is_kept_and_no_cookie_set() -> None:
    make_website()
    visitor = number()
    answer = visit(visitor)
    assert (answer.status_code, answer.content, dict(answer.cookies)) == (204, b"", {})
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in answer
    assert list(VisitorPage.objects.values_list("visitor", "url", "title")) == [
        (visitor, f"{ORIGIN}/pricing", "Prices")
    ]


@pytest.mark.parametrize(
    "origin", ["https://rival.test", "https://ripen.test.rival.test", "null", "", "https://[", "ftp://ripen.test"]
)
def test_no_other_website_is_heard(origin: str) -> None:
    make_website()
    answer = visit(number(), Origin=origin)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer
    assert not Visitor.objects.exists()


def test_off_means_off() -> None:
    make_website(is_on=False)
    assert visit(number()).status_code == 403
    assert not Visitor.objects.exists()
    assert '"isOn": false' in Client().get("/w/ripen.js").content.decode()


@pytest.mark.parametrize(
    "said",
    [{"DNT": "1"}, {"Sec_GPC": "1"}, {"User_Agent": "Googlebot/2.1"}, {"User_Agent": ""}, {"Sec_Purpose": "prefetch"},
     {"User_Agent": "Mozilla/5.0 HeadlessChrome/140"}],
)  # fmt: skip
def test_who_does_not_want_it_and_machines_are_left_out(said: dict[str, str]) -> None:
    make_website()
    assert visit(number(), **said).status_code == 204
    assert not Visitor.objects.exists()


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[]", b'"a"', b"\xff", b"[" * 5_000, b"a" * 9_000, {"visitor": "1"}, {"visitor": 7}, {"visitor": str(uuid.uuid4())},
     {"visitor": str(uuid.uuid1()), "url": f"{ORIGIN}/"}, {"visitor": str(uuid.uuid4()), "url": "https://rival.test/"},
     {"visitor": str(uuid.uuid4()), "url": f"{ORIGIN}/", "title": ["a"]},
     {"visitor": str(uuid.uuid4()), "url": f"{ORIGIN}/", "title": "\ud800"}, {"visitor": str(uuid.uuid4()), "url": f"{ORIGIN}:99999/"},
     {"visitor": str(uuid.uuid4()), "url": f"{ORIGIN}/", "title": "\x00"}],
)  # fmt: skip
def test_what_is_no_visit_is_refused(document: Any) -> None:
    make_website()
    assert post("visit", document).status_code == 400
    assert not Visitor.objects.exists()


def test_other_methods(client: Client) -> None:
    make_website()
    assert client.get("/w/visit", headers={"Origin": ORIGIN}).status_code == 405
    asked = client.options("/w/visit", headers={"Origin": ORIGIN})
    assert (asked.status_code, asked["Access-Control-Allow-Methods"]) == (204, "POST")


def test_floods_end(monkeypatch: pytest.MonkeyPatch) -> None:
    make_website()
    monkeypatch.setattr(website, "MOST_OF_ONE", 2)
    visitor = number()
    assert [visit(visitor).status_code for _n in range(3)] == [204, 204, 429]
    monkeypatch.setattr(website, "MOST_PAGES", 3)
    assert visit(number()).status_code == 429
    assert VisitorPage.objects.count() == 2


# --- A click in a mail tells who it is ----------------------------------------------------------------------------------------------


def test_a_click_joins_what_was_seen_before() -> None:
    make_website()
    visitor, ada = number(), make_contact("ada@example.test")
    visit(visitor, "/before")
    proof = proof_of(send(ada))
    assert visit(visitor, proof=proof).status_code == 204
    visit(visitor, proof=proof)  # loaded again
    rows = Activity.objects.filter(contact=ada, kind__slug="page_view").order_by("id").select_related("asset")
    assert [row.asset.url for row in rows if row.asset] == [
        f"{ORIGIN}/before",
        f"{ORIGIN}/pricing",
        f"{ORIGIN}/pricing",
    ]
    assert (Visitor.objects.get().contact_id, VisitorPage.objects.count()) == (ada.pk, 0)


@pytest.mark.parametrize("off", [{"joins_clicks": False}, {"is_on": False}, {"sites": ["other.test"]}])
def test_the_address_stays_as_it_is_unless_wanted(off: dict[str, Any]) -> None:
    make_website(**off)
    assert proof_of(send()) == ""


@pytest.mark.parametrize(
    "said", [{"DNT": "1"}, {"Sec-GPC": "1"}, {"User-Agent": "Googlebot/2.1"}, {"Purpose": "prefetch"}]
)
def test_neither_machines_nor_who_does_not_want_it_get_a_proof(said: dict[str, str]) -> None:
    make_website()
    answer = Client().get(f"/e/{seal(Place(send().pk, 1))}", headers={"User-Agent": BROWSER} | said)
    assert answer["Location"] == "https://ripen.test/pricing?plan=pro&seats=3#top"


def test_a_reader_who_said_no_gets_no_proof() -> None:
    make_website()
    row = send(make_contact("ada@example.test"))
    consent.set_wish(address_hash("ada@example.test"), now=NOW, tracking="no")
    assert proof_of(row) == ""


def test_a_proof_is_good_for_one_browser() -> None:
    make_website()
    proof = proof_of(send())
    first, second = number(), number()
    visit(first, proof=proof)
    visit(second, proof=proof)
    assert Visitor.objects.get(pk=first).contact_id is not None
    assert Visitor.objects.get(pk=second).contact_id is None


def test_a_browser_of_somebody_else_goes_on_as_another() -> None:
    make_website()
    visitor, ada, bob = number(), make_contact("ada@example.test"), make_contact("bob@example.test")
    visit(visitor, proof=proof_of(send(ada)))
    answer = visit(visitor, proof=proofs.sealed(send(bob, slug="second").pk, now=timezone.now()))
    assert answer.status_code == 200
    told = json.loads(answer.content)
    assert Visitor.objects.get(pk=told["visitor"]).contact_id == bob.pk
    assert Visitor.objects.get(pk=visitor).contact_id == ada.pk


def test_a_proof_made_up_or_old_changes_nothing() -> None:
    make_website()
    row, visitor = send(), number()
    now = timezone.now()
    good = proofs.sealed(row.pk, now=now)
    for proof in (good[:-1] + ("A" if good[-1] != "A" else "B"), "x" * 24, "a", "ä" * 24, proofs.sealed(row.pk, now=now - timedelta(minutes=11)),
                  proofs.sealed(row.pk, now=now + timedelta(hours=1)), proofs.sealed(2**40, now=now)):  # fmt: skip
        assert visit(visitor, proof=proof).status_code == 204
    assert row.contact is not None
    row.contact.delete()
    visit(visitor, proof=good)
    assert Visitor.objects.get().contact_id is None


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://a.test", "https://a.test?ripen=x"),
        ("https://a.test/?b=1#c?d", "https://a.test/?b=1&ripen=x#c?d"),
        ("https://a.test/?", "https://a.test/?ripen=x"),
        ("https://a.test/?b&", "https://a.test/?b&ripen=x"),
    ],
)
def test_a_proof_stands_behind_other_values(address: str, told: str) -> None:
    assert proofs.with_proof(address, "x") == told


# --- Forms ----------------------------------------------------------------------------------------------------------------------


def ask(**said: Any) -> HttpResponse:
    document = {
        "address": "ada@example.test",
        "purposes": ["newsletter"],
        "form": "Footer",
        "visitor": "",
        "url": f"{ORIGIN}/",
        "language": "de",
    }
    return post("ask", document | said)


def test_a_form_asks_by_mail_and_the_link_joins() -> None:
    make_website(joins_forms=True)
    visitor = number()
    visit(visitor)
    assert ask(visitor=str(visitor)).status_code == 204
    asked = ConsentRequest.objects.get()
    assert (asked.address, asked.source, asked.wants_mail) == ("ada@example.test", "website:Footer", True)
    page = f"/programs/u/confirm/{consent.request_token(asked)}/"
    assert Client().get(page).status_code == 200
    assert not Contact.objects.exists()
    assert Client().post(page).status_code == 200
    made = Contact.objects.get(email="ada@example.test")
    assert Visitor.objects.get(pk=visitor).contact_id == made.pk
    assert consent.state_of("ada@example.test", "newsletter") == "given"


def test_the_answer_does_not_tell_whom_we_know() -> None:
    make_website()
    make_contact("ada@example.test")
    known, unknown = ask(), ask(address="new@example.test")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert [ask().status_code for _n in range(4)] == [204] * 4
    assert ConsentRequest.objects.filter(address="ada@example.test").count() == 3


@pytest.mark.parametrize(
    "said",
    [{"address": ""}, {"address": "no address"}, {"address": "a@b.test\r\nBcc: c@d.test"}, {"address": 7}, {"address": "a" * 321 + "@b.test"},
     {"purposes": "newsletter"}, {"purposes": []}, {"purposes": ["nothing-known"]}, {"purposes": [{}]},
     {"purposes": ["a\x00"]}, {"form": "\ud800"}, {"purposes": ["newsletter"] * 21},
     {"visitor": "x"}, {"form": None}],
)  # fmt: skip
def test_a_form_that_cannot_be_is_refused(said: dict[str, Any]) -> None:
    make_website()
    assert ask(**said).status_code == 400
    assert not ConsentRequest.objects.exists()


def test_floods_of_forms_end(monkeypatch: pytest.MonkeyPatch) -> None:
    make_website()
    monkeypatch.setattr(website, "MOST_FORMS", 1)
    assert [ask(address=f"{n}@example.test").status_code for n in range(2)] == [204, 429]
