"""What came of mails: each number counts people and opens as many; who may say what is noted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads.access import ADMIN, MARKETER, SALES
from leads.actions import delete_contact
from leads.models import AuditEntry, Contact
from nurture.mailing import sending
from nurture.models import Program, Sending, Template, TrackingDefaults, TrackingRule
from nurture.tracking import judging, queries
from nurture.tracking.codes import PIXEL, TRAP
from nurture.tracking.judging import note_unsubscribed
from nurture.tracking.queries import note_hit
from tests.makers import NOW, make_user
from tests.nurture.makers import mail, make_template, make_walk, set_workspace, walk

pytestmark = pytest.mark.django_db

PRICES, DEMO = "https://ripen.test/prices", "https://ripen.test/demo"
BODY = f'<p><a href="{PRICES}">Prices</a> <a class="b" href="{DEMO}?utm_source=x">Demo</a></p>'
LATER = NOW + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    set_workspace(name="Plant Metrics", postal_address="Lane 1", sender_email="ada@plant.test")
    cache.clear()
    yield
    cache.clear()


def browser(role: str = MARKETER) -> Client:
    client = Client()
    client.force_login(make_user(role))
    return client


def sent(people: int, *, slug: str = "letter") -> tuple[Program, list[Sending]]:
    template = Template.objects.filter(slug=slug).first() or make_template("Hello", BODY, slug=slug, name=slug)
    program, _people = make_walk(mail(template, "m"), people=people)
    walk()
    sending.send_due(NOW)
    return program, list(Sending.objects.filter(enrolment__program=program).order_by("pk"))


def hit(row: Sending, place: int, url: str = "", *, suspicion: str = "", minutes: int = 0) -> None:
    at = LATER + timedelta(minutes=minutes)
    assert note_hit(row.pk, place, url=url, source=f"s{row.pk}", agent="x", suspicion=suspicion, at=at)


@pytest.fixture
def letter() -> tuple[Program, list[Sending]]:
    """Six people: opened, clicked twice, left, a scanner only, bounced, nothing at all; another program mails the first again."""
    program, rows = sent(6)
    hit(rows[0], PIXEL)
    hit(rows[1], 1, PRICES)
    hit(rows[1], 2, DEMO, minutes=20)
    hit(rows[1], 1, PRICES, minutes=40)
    note_unsubscribed(rows[2], now=LATER)
    hit(rows[3], 1, PRICES, suspicion="agent")
    hit(rows[3], TRAP, suspicion="trap")
    judging.judge_due(LATER + timedelta(hours=2))
    Sending.objects.filter(pk=rows[4].pk).update(state=Sending.State.BOUNCED)
    return program, rows


NUMBERS = {"sent": 6, "delivered": 5, "tracked": 5, "opened": 2, "clicked": 1, "unsubscribed": 1, "machines": 1}


def test_each_number_counts_people_and_opens_as_many(letter: tuple[Program, list[Sending]]) -> None:
    program, rows = letter
    template = Template.objects.get(slug="letter")
    assert queries.people_by_template(queries.Scope()) == {template.pk: NUMBERS}
    sent(1)  # the same mail by another program, to somebody else
    client = browser(SALES)
    for scope, more in (("", 1), (program.slug, 0)):
        for which, number in NUMBERS.items():
            page = client.get(
                reverse("nurture:result-people"), {"template": "letter", "which": which, "program": scope}
            )
            expected = number + (more if which in ("sent", "delivered", "tracked") else 0)
            assert (page.context["total"], len(page.context["rows"])) == (expected, expected), (scope, which)
    listed = client.get(reverse("nurture:result-list"), {"program": program.slug}).content.decode()
    assert "40 %" in listed  # two of five
    assert "20 %" in listed
    delete_contact(Contact.objects.get(sendings=rows[0]), actor=None, now=LATER)
    cache.clear()
    assert queries.people_by_template(queries.Scope(template.pk))[template.pk]["opened"] == 2
    people = client.get(reverse("nurture:result-people"), {"template": "letter", "which": "opened"})
    assert "a contact that was deleted" in people.content.decode()
    for wrong in (
        {"template": "letter", "which": "x"},
        {"template": "none"},
        {"template": "letter", "program": "no"},
    ):
        assert client.get(reverse("nurture:result-people"), wrong).status_code == 404


def test_links_and_the_mail_with_the_clicks_drawn_in(letter: tuple[Program, list[Sending]]) -> None:
    client, (program, rows) = browser(SALES), letter
    page = client.get(reverse("nurture:result-detail", args=["letter"]))
    found = [(one.url, one.people, one.clicks, one.machine_clicks) for one in page.context["links"]]
    assert found == [(PRICES, 1, 2, 1), (DEMO, 1, 1, 0)]
    assert "40.0 % opened and 20.0 % clicked" in page.content.decode()
    drawn = client.get(reverse("nurture:result-map", args=["letter"]), {"program": program.slug})
    assert "sandbox" in drawn["Content-Security-Policy"]
    words = re.sub(r"<span[^>]*>", "[", drawn.content.decode()).replace("</span>", "]")
    assert f'<a href="{PRICES}">[1]Prices</a> <a class="b" href="{DEMO}?utm_source=x">[1]Demo</a>' in words
    make_template("Other", slug="other")
    empty = client.get(reverse("nurture:result-detail", args=["other"])).content.decode()
    assert "No link was pressed yet" in empty
    assert client.get(reverse("nurture:result-map", args=["other"])).status_code == 404
    shown = client.get(reverse("nurture:sending-detail", args=[rows[1].pk])).content.decode()
    assert "2 × by the person, 0 × by machines" in shown
    assert (
        "a program by its own name" in client.get(reverse("nurture:sending-detail", args=[rows[3].pk])).content.decode()
    )


@pytest.mark.parametrize("number", [1, 3])
def test_what_the_pages_ask(number: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for each in range(number):
        _program, rows = sent(number, slug=f"letter-{each}")
        hit(rows[0], 1, PRICES)
    judging.judge_due(LATER + timedelta(hours=1))
    client = browser()
    for address, statements in (
        (reverse("nurture:result-list"), 8),
        (reverse("nurture:result-detail", args=["letter-0"]), 9),
        (f"{reverse('nurture:result-people')}?template=letter-0&which=sent", 8),
        (reverse("nurture:sending-detail", args=[rows[0].pk]), 9),
    ):
        with django_assert_num_queries(statements):
            assert client.get(address).status_code == 200


def test_the_list_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nurture.views.results.PAGE", 2)
    _program, rows = sent(3)
    client, address = browser(), f"{reverse('nurture:result-people')}?template=letter&which=sent"
    first = client.get(address)
    assert [row.pk for row in first.context["rows"]] == [rows[2].pk, rows[1].pk]
    second = client.get(f"{address}&after={first.context['next']}")
    assert ([row.pk for row in second.context["rows"]], second.context["next"]) == ([rows[0].pk], None)


# --- Who says what is noted -------------------------------------------------------------------------------------------------


def test_an_admin_sets_what_holds_for_all() -> None:
    address = reverse("nurture:tracking-edit")
    assert browser().get(address).status_code == 403
    client = browser(ADMIN)
    assert "32 quiet countries" in client.get(address).content.decode()
    values = {
        "is_on": "on",
        "quiet_countries": ["DE", "FR"],
        "utm_source": " ripen ",
        "utm_campaign": "{program}-{template}",
        "utm_domains": "Ripen.test, shop.ripen.test; ripen.test",
    }
    assert client.post(address, values).status_code == 302
    row = TrackingDefaults.objects.get()
    assert (row.is_on, row.tracks_text, row.quiet_countries) == (True, False, ["DE", "FR"])
    assert row.utm == {"utm_source": "ripen", "utm_campaign": "{program}-{template}"}
    assert row.utm_domains == ["ripen.test", "shop.ripen.test"]
    assert AuditEntry.objects.get(object_label="tracking").detail["quiet_countries"] == ["DE", "FR"]
    for wrong in (
        {"utm_term": "{contact.email}"},
        {"utm_domains": "https://x"},
        {"quiet_countries": ["XX"]},
        {"utm_source": "x" * 101},
    ):
        assert client.post(address, {**values, **wrong}).status_code == 422
    row.refresh_from_db()
    assert row.utm_domains == ["ripen.test", "shop.ripen.test"]


def test_a_template_and_a_program_may_say_otherwise() -> None:
    TrackingDefaults.objects.create(pk=1, utm={"utm_source": "ripen"})
    program, _rows = sent(0)
    client = browser()
    for kind, slug in (("template", "letter"), ("program", program.slug)):
        address = reverse(f"nurture:tracking-of-{kind}", args=[slug])
        assert browser(SALES).get(address).status_code == 403
        assert 'placeholder="ripen"' in client.get(address).content.decode()
        assert client.post(address, {"is_off": "on", "utm_content": "{purpose}"}).status_code == 302
        rule = TrackingRule.objects.get(**{f"{kind}__slug": slug})
        assert (rule.is_off, rule.utm) == (True, {"utm_content": "{purpose}"})
        assert client.post(address, {"utm_content": "{x}"}).status_code == 422
        client.post(address, {})
        assert not TrackingRule.objects.exists()
        assert client.get(reverse(f"nurture:tracking-of-{kind}", args=["none"])).status_code == 404
