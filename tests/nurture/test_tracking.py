"""Links that lead by us: only where the mail led, noted for people and not for machines, never for somebody who does not want it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from html import unescape
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from leads import consent
from leads.actions import delete_contact
from leads.addresses import address_hash
from leads.models import Activity, Contact
from leads.workspace import workspace
from nurture import access, actions
from nurture.engine import run_due
from nurture.mailing import sending
from nurture.models import (
    Enrolment,
    MailClick,
    MailHit,
    MailResponse,
    Sending,
    StepVisit,
    Template,
    TrackingDefaults,
    TrackingRule,
)
from nurture.tracking import codes, judging, links
from nurture.tracking.codes import PIXEL, TRAP, Place
from nurture.turn import take_in, turn
from nurture.views import tracked
from tests.makers import NOW, make_company, make_contact, make_user
from tests.nurture.makers import mail, make_template, make_walk, put_in, segment_of, set_workspace, step, walk

pytestmark = pytest.mark.django_db

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LATER = NOW + timedelta(minutes=5)
BODY = (
    '<p><a href="https://ripen.test/pricing?plan=pro&amp;seats=3#top">Prices</a> <a href="https://ripen.test/demo">Demo</a>'
    " <a href='https://ripen.test/docs'>Docs</a> <a href=\"mailto:a@ripen.test\">Write</a></p>"
)
PRICING = "https://ripen.test/pricing?plan=pro&seats=3#top"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    set_workspace(name="Plant Metrics", postal_address="Lane 1", sender_email="ada@plant.test")
    cache.clear()
    yield
    cache.clear()


def send(person: Contact | None = None, *, body: str = BODY, slug: str = "letter") -> Sending:
    """One mail of a program that has left."""
    (row,) = send_all([person or make_contact("ada@example.test")], body=body, slug=slug)
    return row


def send_all(people: Iterable[Contact], *, body: str = BODY, slug: str = "letter") -> list[Sending]:
    template = make_template("Hello", slug=slug)
    program, _nobody = make_walk(mail(template, "m"), people=0)
    # as edited later: links that cannot work keep a program from starting
    Template.objects.filter(pk=template.pk).update(body=body)
    put_in(segment_of(program), people)
    take_in(NOW, full=True)
    walk()
    sending.send_due(NOW)
    return list(Sending.objects.filter(template=template).order_by("pk"))


def wire(row: Sending) -> tuple[str, str]:
    """HTML and text as they left."""
    fresh = Sending.objects.select_related("contact__company", "contact__owner", "template").get(pk=row.pk)
    message, _stored = sending.write(fresh, workspace(), at=NOW)
    parts = message_from_bytes(message.data, policy=policy.default)
    html, text = parts.get_body(("html",)), parts.get_body(("plain",))
    assert html is not None
    assert text is not None
    return html.get_content(), text.get_content()


def hrefs(html: str) -> list[str]:
    return [unescape(found) for found in re.findall(r"""\shref\s*=\s*["']([^"']*)""", html, re.IGNORECASE)]


def path_of(row: Sending, number: int) -> str:
    return f"/e/{codes.seal(Place(row.pk, number))}" + (".gif" if number == PIXEL else "")


def ask(
    path: str,
    at: datetime = LATER,
    *,
    agent: str = BROWSER,
    method: str = "get",
    headers: dict[str, str] | None = None,
) -> str:
    """Ask as somebody's browser; where it is led, else the status."""
    with mock.patch("django.utils.timezone.now", return_value=at):
        client = Client(headers={"user-agent": agent, **(headers or {})})
        answer = getattr(client, method)(path)
    return str(answer.get("Location") or answer.status_code)


def judge(now: datetime = LATER + timedelta(minutes=1)) -> dict[str, int]:
    """Verdict -> hits, of everything so far."""
    judging.judge_due(now)
    found: dict[str, int] = {}
    for verdict in MailHit.objects.values_list("verdict", flat=True):
        found[verdict] = found.get(verdict, 0) + 1
    return found


def acts() -> list[tuple[str, str]]:
    rows = Activity.objects.filter(kind__slug__in=["email_open", "email_click"]).order_by("occurred_at", "id")
    return list(rows.values_list("kind__slug", "asset__url"))


# --- What leaves ------------------------------------------------------------------------------------------------------------


def test_links_lead_by_us_and_the_kept_mail_shows_where_to() -> None:
    row = send()
    html, text = wire(row)
    by_us = [href for href in hrefs(html) if "/e/" in href]
    assert [urlsplit(href).path for href in by_us] == [path_of(row, number) for number in (1, 2, 3, TRAP)]
    assert "mailto:a@ripen.test" in hrefs(html)
    assert (
        len([href for href in hrefs(html) if "/programs/u/" in href]) == 2
    )  # unsubscribe and preferences, as they are
    assert f'src="{project.PUBLIC_URL}{path_of(row, PIXEL)}"' in html
    assert "/e/" not in row.html
    assert hrefs(row.html)[:3] == [PRICING, "https://ripen.test/demo", "https://ripen.test/docs"]
    assert f"({PRICING})" in text
    assert row.is_tracked
    assert all(len(urlsplit(href).path) == len("/e/") + 22 for href in by_us)


def test_each_link_leads_where_the_mail_led(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row = send()
    ask(path_of(row, 2))
    with django_assert_num_queries(2):
        assert ask(path_of(row, 1)) == PRICING
    assert ask(path_of(row, 2)) == "https://ripen.test/demo"
    assert ask(path_of(row, 4)) == "404"  # mailto: nobody was led there by us
    assert ask(path_of(row, 99)) == "404"
    assert ask(path_of(row, TRAP)) == "404"
    assert ask(path_of(row, PIXEL)) == "200"


def test_text_too_where_the_workspace_wants_it() -> None:
    TrackingDefaults.objects.create(pk=1, tracks_text=True)
    row = send(body='<a href="https://ripen.test/a">A</a> <a href="https://ripen.test/ab">B</a> https://ripen.test/a.')
    _html, text = wire(row)
    first, second = (f"{project.PUBLIC_URL}{path_of(row, number)}" for number in (1, 2))
    assert f"A ({first}) B ({second}) {first}." in text
    assert "https://ripen.test/a" in row.text


LINKS = [
    ('<a class="x" target=\'_blank\' href = "https://ripen.test/a">A</a>', True),
    ("<A HREF=https://ripen.test/a>A</A>", True),
    ('<map><area href="https://ripen.test/a"></map>', True),
    ('<!--[if mso]><a href="https://ripen.test/a">A</a><![endif]-->', True),
    ('<a href="https://RIPEN.test/a">A</a>', True),
    ('<a href="https://ripen.test:8443/a">A</a>', True),
    ('<a href="/a">A</a>', False),
    ('<a href="javascript:alert(1)">A</a>', False),
    ('<a href="https://ada:secret@ripen.test/a">A</a>', False),
    ('<a href="https://ripen.test\\@rival.test/a">A</a>', False),
    ('<a href="https://ripen.test/a b">A</a>', False),
    ('<a href="https://ripen.test:99999/">A</a>', False),
    ('<a href="https://[::1/">A</a>', False),
    ('<a href="https://{{ contact.title }}/a">A</a>', False),
    ('<a href="https://{{ contact.title }}.test/a">A</a>', False),
    ('<a href="{{ contact.city }}">A</a>', False),
    ('<a href="https://ripen.test:{{ contact.region }}">A</a>', False),
    ('<a href="https://ripen.test{{ contact.region }}/">A</a>', False),
    ('<a href="https://ripen.test/?who={{ contact.title }}">A</a>', True),
    ('<a href="{{ unsubscribe_url }}">A</a>', False),
    ('<a href="{{ preferences_url }}">A</a>', False),
    ('<a data-href="https://ripen.test/a">A</a>', False),
    ('<a href="https://ripen.test/' + "a" * 2_000 + '">A</a>', False),
]


def test_only_addresses_that_the_template_names_lead_by_us() -> None:
    """A host that a placeholder fills in is left alone: by ours nobody is sent to a stranger's page."""
    person = make_contact(
        "eve@example.test", title="rival.test", city="https://rival.test/x", region="x@rival.test/", first_name="Eve"
    )
    row = send(person, body="".join(f"<p>{number}:{body}</p>" for number, (body, _led) in enumerate(LINKS)))
    html, _text = wire(row)
    found = {}
    for number, (body, _led) in enumerate(LINKS):
        part = html.partition(f"<p>{number}:")[2].partition("</p>")[0]
        found[body] = "/e/" in part
    assert found == dict(LINKS)


def test_values_are_added_by_rule_and_overwrite_nothing() -> None:
    TrackingDefaults.objects.create(
        pk=1, utm={"utm_source": "plant metrics", "utm_campaign": "{program}", "utm_term": "{program}"[:0]},
        utm_domains=["ripen.test"],
    )  # fmt: skip
    template = make_template(
        "Hello",
        '<a href="https://www.ripen.test/a?UTM_Source=own&amp;copy=2#x">A</a> <a href="https://else.test/">B</a>'
        ' <a href="https://notripen.test/">C</a> <a href="https://ripen.test">D</a>',
        slug="letter",
    )
    program, (person,) = make_walk(mail(template, "m"), people=1)
    TrackingRule.objects.create(template=template, utm={"utm_content": "{template}"})
    TrackingRule.objects.create(program=program, utm={"utm_medium": "email", "utm_content": "never"})
    walk()
    sending.send_due(NOW)
    row = Sending.objects.get()
    more = f"utm_campaign={program.slug}&utm_content=letter"
    assert hrefs(row.html)[:4] == [
        f"https://www.ripen.test/a?UTM_Source=own&copy=2&utm_medium=email&{more}#x",
        "https://else.test/",
        "https://notripen.test/",
        f"https://ripen.test?utm_source=plant+metrics&utm_medium=email&{more}",
    ]
    assert ask(path_of(row, 1)) == hrefs(row.html)[0]
    ask(path_of(row, 4))
    judge()
    assert acts() == [("email_click", "https://www.ripen.test/a?copy=2"), ("email_click", "https://ripen.test")]
    assert person.pk == row.contact_id


# --- Whom we note -----------------------------------------------------------------------------------------------------------


def test_quiet_countries_and_wishes() -> None:
    people = [
        ("a@example.test", "", "", True),
        ("b@example.test", "", "no", False),
        ("c@example.test", "DE", "", False),
        ("d@example.test", "DE", "yes", True),
        ("e@example.test", "US", "", True),
        ("f@example.de", "", "", False),
        ("g@example.co.uk", "", "", False),
        ("h@example.de", "US", "", True),
    ]
    for address, country, wish, _noted in people:
        make_contact(address, country=country)
        if wish:
            consent.set_wish(address_hash(address), now=NOW, tracking=wish)
    rows = {row.address: row for row in send_all(Contact.objects.all())}
    noted = {address: (rows[address].is_tracked, "/e/" in wire(rows[address])[0]) for address, *_rest in people}
    assert noted == {address: (expected, expected) for address, _country, _wish, expected in people}


def test_a_company_tells_where_somebody_lives() -> None:
    row = send(make_contact("a@example.test", company=make_company(country="FR")))
    assert not row.is_tracked


@pytest.mark.parametrize("off", ["workspace", "template", "program", "test", "contract"])
def test_tracking_can_be_off(off: str) -> None:
    template = make_template("Hello", BODY)
    if off == "workspace":
        TrackingDefaults.objects.create(pk=1, is_on=False)
    if off == "template":
        TrackingRule.objects.create(template=template, is_off=True)
    program, (person,) = make_walk(mail(template, "m"), people=1)
    if off == "program":
        TrackingRule.objects.create(program=program, is_off=True)
    walk()
    if off == "contract":
        Sending.objects.update(is_operational=True)
    if off == "test":
        Sending.objects.all().delete()
        actions.send_test(template, to="me@ripen.test", contact=person, actor=make_user(), now=NOW)
    sending.send_due(NOW)
    row = Sending.objects.get()
    assert row.state == "sent"
    assert not row.is_tracked
    assert "/e/" not in wire(row)[0]
    assert ask(path_of(row, 1)) == "404"


def test_the_preference_page_asks_and_keeps() -> None:
    row = send()
    page = sending.preferences_url(row).removeprefix(project.PUBLIC_URL)
    client = Client()
    assert 'name="tracking"' in client.get(page).content.decode()
    client.post(page, {"verb": "save", "tracking": "no"})
    assert consent.wish(address_hash(row.address)).tracking == "no"
    client.post(page, {"verb": "save", "tracking": "perhaps"})
    client.post(page, {"verb": "pause"})
    assert consent.wish(address_hash(row.address)).tracking == "no"


def test_who_said_no_after_the_mail_left_is_noted_no_more() -> None:
    row = send()
    consent.set_wish(address_hash(row.address), now=NOW, tracking="no")
    assert ask(path_of(row, 1)) == PRICING
    assert ask(path_of(row, PIXEL)) == "200"
    assert not MailHit.objects.exists()


@pytest.mark.parametrize("headers", [{"sec-gpc": "1"}, {"dnt": "1"}])
def test_a_browser_may_say_no(headers: dict[str, str]) -> None:
    row = send()
    assert ask(path_of(row, 1), headers=headers) == PRICING
    assert ask(path_of(row, PIXEL), headers=headers) == "200"
    assert not MailHit.objects.exists()


# --- What comes of it --------------------------------------------------------------------------------------------------------


def test_an_open_and_clicks_become_activities_and_sums() -> None:
    row = send()
    ask(path_of(row, PIXEL), LATER)
    ask(path_of(row, 1), LATER + timedelta(seconds=20))
    ask(path_of(row, 1), LATER + timedelta(seconds=30))  # a second press of the same link
    ask(path_of(row, 1), LATER + timedelta(minutes=15))
    ask(path_of(row, 2), LATER + timedelta(minutes=16))
    judging.judge_due(LATER + timedelta(seconds=22))  # the open alone has settled
    assert acts() == [("email_open", "")]
    assert judge(LATER + timedelta(hours=1)) == {"person": 5}
    url = links.without_values(PRICING)
    assert acts() == [
        ("email_open", ""),
        ("email_click", url),
        ("email_click", url),
        ("email_click", "https://ripen.test/demo"),
    ]
    found = MailResponse.objects.get()
    assert (found.opens, found.opened_first_at, found.opened_last_at) == (1, LATER, LATER)
    assert (found.clicks, found.clicked_first_at) == (3, LATER + timedelta(seconds=20))
    assert found.clicked_last_at == LATER + timedelta(minutes=16)
    assert list(MailClick.objects.order_by("place").values_list("place", "url", "clicks", "machine_clicks")) == [
        (1, url, 2, 0),
        (2, "https://ripen.test/demo", 1, 0),
    ]
    activity = Activity.objects.filter(kind__slug="email_open").get()
    assert activity.asset is not None
    assert (activity.asset.subject, activity.asset.source, activity.contact_id) == (
        "Hello", "template:letter", row.contact_id,
    )  # fmt: skip
    judging.judge_due(LATER + timedelta(hours=2))
    assert len(acts()) == 4


GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


ASKED: list[tuple[int, str, str, dict[str, str], int, str]] = [
    (1, BROWSER, "get", {}, 60, "person"),
    (PIXEL, BROWSER, "get", {}, 60, "person"),
    (1, BROWSER, "get", {}, 3, "soon"),
    (PIXEL, BROWSER, "get", {}, 3, "soon"),
    (1, BROWSER, "head", {}, 60, "head"),
    (PIXEL, BROWSER, "head", {}, 60, "head"),
    (1, BROWSER, "get", {"purpose": "prefetch"}, 60, "ahead"),
    (1, BROWSER, "get", {"sec-purpose": "prefetch;prerender"}, 60, "ahead"),
    (1, BROWSER, "get", {"x-purpose": "preview"}, 60, "ahead"),
    (1, "", "get", {}, 60, "agent"),
    (1, "Mozilla/5.0", "get", {}, 60, "agent"),
    (1, "python-requests/2.32", "get", {}, 60, "agent"),
    (1, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "get", {}, 60, "agent"),
    (1, "Slackbot-LinkExpanding 1.0", "get", {}, 60, "agent"),
    (1, "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/130.0", "get", {}, 60, "agent"),
    (PIXEL, "Mozilla/5.0", "get", {}, 60, "proxy"),
    (PIXEL, GOOGLE, "get", {}, 60, "proxy"),
    (TRAP, BROWSER, "get", {}, 60, "trap"),
    (PIXEL, "Mozilla/5.0 (Windows NT 10.0; Microsoft Outlook 16.0.5; ms-office; MSOffice 16)", "get", {}, 60, "person"),
    (1, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Mobile/15E148", "get", {}, 60, "person"),
]  # fmt: skip


def test_machines_are_told_from_people() -> None:
    rows = send_all([make_contact() for _each in ASKED])
    for row, (number, agent, method, headers, after, _verdict) in zip(rows, ASKED, strict=True):
        assert row.sent_at is not None
        ask(path_of(row, number), row.sent_at + timedelta(seconds=after), agent=agent, method=method, headers=headers)
    judge()
    verdicts = dict(MailHit.objects.values_list("sending", "verdict"))
    expected = [verdict for *_rest, verdict in ASKED]
    assert [verdicts[row.pk] for row in rows] == expected
    assert len(acts()) == expected.count("person")
    for row, verdict in zip(rows, expected, strict=True):
        found, people = MailResponse.objects.get(pk=row.pk), int(verdict == "person")
        assert (found.opens + found.clicks, found.machine_opens + found.machine_clicks) == (people, 1 - people)


def test_many_links_at_once_and_what_comes_from_a_scanner() -> None:
    first, second = send(slug="first"), send(make_contact("bob@example.test"), slug="second")
    for number in (1, 2, 3):
        ask(path_of(first, number), LATER + timedelta(milliseconds=200 * number))
    ask(path_of(first, 1), LATER + timedelta(hours=1))  # the person, later
    ask(path_of(second, TRAP), LATER)
    ask(path_of(second, 1), LATER + timedelta(seconds=2))
    ask(path_of(second, 1), LATER + timedelta(seconds=2), agent=f"{BROWSER} other")
    assert judge(LATER + timedelta(hours=2)) == {"burst": 3, "person": 2, "trap": 1, "source": 1}
    assert len(acts()) == 2
    rows = MailResponse.objects.order_by("pk").values_list("clicks", "machine_clicks")
    assert list(rows) == [(1, 3), (1, 2)]


def test_a_wait_goes_on_at_a_click_and_a_score_would_hear_of_it() -> None:
    until = {"did": "email_click", "where": [{"field": "url", "op": "contains", "value": "/pricing"}]}
    program, (person,) = make_walk(
        mail(make_template("Hello", BODY), "m"),
        step("wait_until", "w", conditions=until, days=7, met=[], late=[]),
        people=1,
    )
    walk()
    sending.send_due(NOW)
    row = Sending.objects.get()
    ask(path_of(row, 2))  # another link
    judge()
    turn(LATER + timedelta(minutes=1))
    assert Enrolment.objects.get().state == "active"
    ask(path_of(row, 1), LATER + timedelta(minutes=2))
    judge(LATER + timedelta(minutes=3))
    turn(LATER + timedelta(minutes=3))
    turn(LATER + timedelta(minutes=4))
    run_due(LATER + timedelta(minutes=4))
    assert Enrolment.objects.get().state == "finished"
    assert StepVisit.objects.get(step="w").outcome == "met"
    assert (program.pk, person.pk) == (Enrolment.objects.get().program_id, row.contact_id)


def test_old_hits_are_forgotten_and_sums_stay() -> None:
    row = send()
    ask(path_of(row, 1))
    judge()
    ask(path_of(row, 2), LATER + timedelta(days=31))
    judge(LATER + timedelta(days=31, minutes=1))
    assert list(MailHit.objects.values_list("place", flat=True)) == [2]
    assert MailResponse.objects.get().clicks == 2


def test_leaving_is_a_response_to_the_mail() -> None:
    row = send()
    for moment in (LATER, LATER + timedelta(days=1)):
        actions.unsubscribe(row.token, source="unsubscribe_link", now=moment, proof={})
    assert MailResponse.objects.get().unsubscribed_at == LATER


# --- Nobody's tool ------------------------------------------------------------------------------------------------------------


@given(
    number=st.integers(0, 2**48 - 1),
    place=st.integers(0, TRAP),
    position=st.integers(0, 21),
    letter=st.sampled_from("Az0_-"),
)
def test_codes_say_nothing_and_cannot_be_changed(number: int, place: int, position: int, letter: str) -> None:
    code = codes.seal(Place(number, place))
    assert codes.opened(code) == Place(number, place)
    other = code[:position] + letter + code[position + 1 :]
    assert other == code or codes.opened(other) is None


def test_forged_replayed_and_odd_requests_get_one_answer_and_leave_nothing(settings: Settings) -> None:
    row = send()
    gone = codes.seal(Place(row.pk + 1_000, 1))
    code = codes.seal(Place(row.pk, 1))
    odd = [
        gone,
        code[:-1],
        code + "A",
        code.swapcase(),
        "a" * 22,
        "0" * 5_000,
        "%00",
        "%0d%0aSet-Cookie:x=1",
        "é" * 22,
        "..",
        "%2e%2e%2f",
    ]
    odd += [f"{code}?to=https://rival.test/", f"{codes.seal(Place(row.pk, PIXEL))}"]
    answers = set()
    for number, path in enumerate(odd):
        answer = Client(headers={"user-agent": BROWSER}).get(f"/e/{path}", REMOTE_ADDR=f"10.0.0.{number}")
        if "?to" in path:
            assert answer["Location"] == PRICING  # what is asked beside the code means nothing
            continue
        answers.add((answer.status_code, answer.content if path != "%2e%2e%2f" else b""))
        assert "Location" not in answer
        assert not answer.cookies
    assert {status for status, _content in answers} == {404}
    assert len({content for _status, content in answers if content}) == 1
    pictures = {Client().get(f"/e/{path}.gif").content for path in ("x", gone, code, codes.seal(Place(row.pk, PIXEL)))}
    assert pictures == {tracked._GIF}
    for method in ("post", "put", "delete", "patch"):
        assert getattr(Client(), method)(path_of(row, 1)).status_code == 405
    assert MailHit.objects.count() == 2  # the one real link, the one real pixel
    settings.BEHIND_PROXY = True
    assert Client(headers={"x-forwarded-for": "1.2.3.4, 10.9.9.9"}).get(path_of(row, 1)).status_code == 302


def test_floods_are_led_on_and_noted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    row = send()
    for name, most in (("MOST_NOTED", 7), ("MOST_LED", 9), ("MOST_OF_ONE", 4)):
        monkeypatch.setattr(tracked, name, most)
    monkeypatch.setattr(access, "PUBLIC_TRIES", 3)
    monkeypatch.setattr(access, "MINUTE_SECONDS", 3_600)  # a busy machine must not begin another minute in between
    answers = [ask(path_of(row, 1)) for _each in range(11)]
    assert answers == [PRICING] * 9 + ["429"] * 2
    assert MailHit.objects.count() == 4
    assert ask(path_of(row, PIXEL)) == "200"
    assert MailHit.objects.count() == 4  # this address asked too often
    judge(LATER + timedelta(hours=1))
    assert len(acts()) == 1
    forged = [ask(f"/e/{'x' * 21}{number}") for number in range(5)]
    assert forged == ["404"] * 3 + ["429"] * 2


def test_after_the_contact_went_nothing_is_noted_of_them_and_the_link_still_leads() -> None:
    row = send()
    person = Contact.objects.get(sendings=row)
    ask(path_of(row, 1))
    delete_contact(person, actor=None, now=LATER)
    assert ask(path_of(row, 2), LATER + timedelta(seconds=30)) == "https://ripen.test/demo"
    judge()
    assert acts() == []
    assert MailResponse.objects.get().clicks == 2


def test_two_judges_add_up() -> None:
    """What one worker took is not taken by the next, however late it comes."""
    row = send()
    for number in (1, 2):
        ask(path_of(row, number), LATER + timedelta(seconds=10 * number))
    with mock.patch.object(judging, "BATCH", 1):
        assert judging.judge_due(LATER + timedelta(minutes=1)) == 2
    assert MailResponse.objects.get().clicks == 2
