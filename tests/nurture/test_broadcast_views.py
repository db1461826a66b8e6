"""Pages of broadcasts: from the form to the results in the browser's words; who may do what; the same statements for one row and three."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from leads import figures
from leads.access import ADMIN, MARKETER, SALES
from leads.models import AuditEntry, Contact
from nurture.broadcasts import results
from nurture.mailing import sending
from nurture.models import Broadcast, MailResponse, Sending
from nurture.views import broadcasts
from nurture.views import results as result_pages
from tests.makers import NOW, make_contact, make_user
from tests.nurture.broadcasting import audience, count_audience, send, work, write
from tests.nurture.makers import make_people, make_template, set_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(name="Plant", postal_address="Hauptstr. 1", sender_email="ada@plant.test", timezone="Europe/Berlin")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def url(name: str, broadcast: Broadcast | None = None) -> str:
    return reverse(f"nurture:broadcast-{name}", args=[broadcast.slug] if broadcast else [])


def form_of(broadcast_to: int, template: int, **values: object) -> dict[str, object]:
    usual = {
        "name": "Spring",
        "template_a": template,
        "into": [broadcast_to],
        "purpose": "marketing",
        "timing": "now",
        "winner_conditions": "",
    }
    return usual | values


def test_written_counted_sent_and_looked_at(marketer: Client) -> None:
    people = make_people(3)
    Contact.objects.filter(pk=people[2].pk).update(email=None)
    segment, template = audience(*people), make_template("Spring is here")
    page = marketer.get(url("list"))
    assert "No broadcast yet" in page.content.decode()
    response = marketer.post(url("new"), form_of(segment.pk, template.pk))
    broadcast = Broadcast.objects.get()
    assert response["Location"] == url("detail", broadcast)
    assert "Count the audience" in marketer.get(url("detail", broadcast)).content.decode()
    marketer.post(url("count", broadcast))
    assert "being counted" in marketer.get(url("detail", broadcast)).content.decode()
    work()
    state = marketer.get(url("state", broadcast), {"was": "counting"})
    assert state["HX-Refresh"] == "true"
    sheet = marketer.get(url("detail", broadcast)).content.decode()
    assert "Send to 2 people now" in sheet
    assert "no e-mail address" in sheet
    broadcast.refresh_from_db()
    marketer.post(url("send", broadcast), {"version": broadcast.version})
    broadcast.refresh_from_db()
    assert broadcast.state == "going"
    Broadcast.objects.update(next_at=NOW, started_at=NOW)
    work()
    sending.send_due(NOW)
    page = marketer.get(url("detail", broadcast))
    assert page.context["progress"].sent == 2
    assert "Spring" in marketer.get(url("list")).content.decode()
    body = marketer.get(reverse("nurture:broadcast-mail", args=[broadcast.slug, "a"]))
    assert body["Content-Security-Policy"].startswith("sandbox")
    people_page = marketer.get(
        reverse("nurture:result-people"), {"template": template.slug, "broadcast": broadcast.slug}
    )
    assert people_page.context["total"] == 2
    outbox = marketer.get(reverse("nurture:sending-list"), {"broadcast": broadcast.slug})
    assert len(outbox.context["rows"]) == 2
    assert len(marketer.get(reverse("nurture:sending-list"), {"broadcast": "other"}).context["rows"]) == 0


def test_the_form_keeps_what_was_written(marketer: Client) -> None:
    segment, out_of = audience(make_contact()), audience()
    templates = [make_template(), make_template()]
    values = form_of(
        segment.pk, templates[0].pk, template_b=templates[1].pk, weight_b=3, out_of=[out_of.pk], timing="at",
        starts_at="2026-03-02T18:00", per_hour=500, is_unbudgeted="on", winner_by="opens", test_percent=30,
        winner_hours=6, winner_at_least=50,
    )  # fmt: skip
    marketer.post(url("new"), values)
    broadcast = Broadcast.objects.get()
    assert broadcast.starts_at == datetime(2026, 3, 2, 17, tzinfo=UTC)  # six in the evening in Berlin
    assert (broadcast.per_hour, broadcast.is_budgeted, broadcast.winner_by) == (500, False, "opens")
    assert list(broadcast.variants.values_list("key", "weight")) == [("a", 1), ("b", 3)]
    form = marketer.get(url("edit", broadcast)).context["form"]
    assert form["starts_at"].value().isoformat() == "2026-03-02T18:00:00"
    assert (form["is_unbudgeted"].value(), form["template_b"].value(), form.compares) == (True, templates[1].pk, True)
    stale = marketer.post(url("edit", broadcast), values | {"version": broadcast.version - 1, "name": "Other"})
    assert (stale.status_code, "Somebody else changed this" in stale.content.decode()) == (422, True)
    marketer.post(url("edit", broadcast), values | {"version": broadcast.version, "name": "Other"})
    broadcast.refresh_from_db()
    assert (broadcast.name, broadcast.version) == ("Other", 2)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"timing": "at"}, "starts_at"),
        ({"timing": "local", "local_on": "2026-03-02"}, "local_time"),
        ({"winner_by": "opens"}, "winner_by"),
        ({"into": []}, "into"),
        ({"out_of": "into"}, "out_of"),
        ({"template_a": ""}, "template_a"),
        ({"per_hour": 0}, "per_hour"),
    ],
)
def test_what_is_missing_is_said_at_its_field(marketer: Client, wrong: dict[str, object], field: str) -> None:
    values = form_of(audience().pk, make_template().pk) | wrong
    values |= {"out_of": values["into"]} if wrong == {"out_of": "into"} else {}
    response = marketer.post(url("new"), values)
    assert (response.status_code, list(response.context["form"].errors)) == (422, [field])
    assert ("segment-picker is-invalid" in response.content.decode()) == (
        field in ("into", "out_of")
    )  # else no error is seen
    assert Broadcast.objects.count() == 0


def test_one_template_twice_is_no_comparison(marketer: Client) -> None:
    template = make_template()
    response = marketer.post(url("new"), form_of(audience().pk, template.pk, template_b=template.pk))
    assert "a template of its own" in response.content.decode()


POSTS = ["count", "send", "pause", "resume", "cancel", "winner", "delete"]
READS = ["list", "detail", "state", "people"]


def test_sales_looks_and_does_nothing(client: Client) -> None:
    broadcast = count_audience(write(audience(make_contact())))
    asked = [(name, url(name, broadcast)) for name in (*POSTS, "edit", "export")] + [("new", url("new"))]
    client.force_login(make_user(SALES))
    for name, where in asked:
        assert (client.post if name in POSTS else client.get)(where).status_code == 403
    for read in READS:
        assert client.get(url(read, None if read == "list" else broadcast)).status_code == 200
    page = client.get(url("detail", broadcast)).content.decode()
    assert [name for name in POSTS if f'action="{url(name, broadcast)}"' in page] == []
    client.force_login(make_user(ADMIN))
    for name, where in reversed(asked):  # deleted last but one, and gone
        expected = {"delete": 302, "new": 200, "export": 200, "edit": 200}.get(name, 404)
        assert (client.post if name in POSTS else client.get)(where).status_code == expected


def test_switches(marketer: Client) -> None:
    broadcast = send(write(audience(*make_people(2)), name="A name that is very long " * 6))
    work()
    for name, state in (("pause", "paused"), ("resume", "going"), ("cancel", "cancelled")):
        Broadcast.objects.filter(state="done").update(state="going")
        response = marketer.post(url(name, broadcast), follow=True)
        broadcast.refresh_from_db()
        assert (response.status_code, broadcast.state) == (200, state)
    assert "2 people do not get it" in response.content.decode()
    refused = marketer.post(url("pause", broadcast), follow=True).content.decode()
    assert "nothing was changed" in refused


def test_a_winner_is_chosen_on_the_page(marketer: Client) -> None:
    variants = [(make_template(), 1), (make_template(), 1)]
    broadcast = send(
        write(
            audience(*make_people(10)), variants=variants, winner_by="clicks", test_percent=50, winner_hours=1
        )
    )  # fmt: skip
    work()
    assert "Send B to the rest" in marketer.get(url("detail", broadcast)).content.decode()
    marketer.post(url("winner", broadcast), {"way": "b"})
    broadcast.refresh_from_db()
    assert broadcast.winner == "b"
    assert "chosen by hand" in marketer.get(url("detail", broadcast)).content.decode()


def test_people_of_each_reason_and_as_a_file(marketer: Client) -> None:
    ada = make_contact("ada@example.test", first_name="=Ada", last_name="Lovelace", external_id="ada")
    nowhere = make_contact(external_id="nowhere")
    Contact.objects.filter(pk=nowhere.pk).update(email=None)
    broadcast = count_audience(write(audience(ada, nowhere)))
    for which, person in (("in", ada), ("out", nowhere), ("no_address", nowhere)):
        rows = marketer.get(url("people", broadcast), {"which": which}).context["rows"]
        assert [row.contact_id for row, _why in rows] == [person.pk]
    assert marketer.get(url("people", broadcast), {"which": "made_up"}).status_code == 404
    response = marketer.get(url("export", broadcast), {"which": "in"})
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[1].startswith("ada,ada@example.test,'=Ada Lovelace,")
    assert AuditEntry.objects.filter(verb="exported").count() == 1


@pytest.mark.parametrize("rows", [1, 3])
def test_pages_ask_the_same_whatever_the_rows(marketer: Client, rows: int, django_assert_num_queries: object) -> None:
    sent = [send(write(audience(*make_people(rows)))) for _each in range(rows)]
    work()
    sending.send_due(NOW)
    marketer.get(url("list"))  # what the session asks once
    assert Sending.objects.filter(state="sent").count() == rows * rows
    count: object = django_assert_num_queries
    for name, number in (
        ("list", LIST),
        ("people", PEOPLE),
        ("detail", DETAIL),
        ("state", STATE),
        ("results", RESULTS),
    ):
        with count(number):  # type: ignore[operator]
            marketer.get(url(name, None if name == "list" else sent[0]))


LIST, PEOPLE, DETAIL, STATE, RESULTS = 7, 6, 15, 8, 7


@pytest.mark.parametrize("variants", [1, 3])
def test_the_sheet_asks_the_same_whatever_the_mails(
    marketer: Client, variants: int, django_assert_num_queries: object
) -> None:
    broadcast = count_audience(
        write(audience(make_contact()), variants=[(make_template(), 1) for _each in range(variants)])
    )
    marketer.get(url("list"))  # what the session asks once
    count: object = django_assert_num_queries
    with count(SHEET):  # type: ignore[operator]
        marketer.get(url("detail", broadcast))


SHEET = 15


def test_what_the_reading_of_a_template_found_stands_on_the_sheet(marketer: Client) -> None:
    person = make_contact()
    doubtful = make_template(body='<p><a href="http://plant.test/">Old</a></p>', name="Old link")
    broken = make_template(body='<p><a href="plant">Nowhere</a></p>', name="Broken link")
    words = {
        "http": "“Old link”: The link “http://plant.test/” begins with http://; use https://.",
        "broken": "“Broken link”: The link “plant” leads nowhere: write the whole address, with https://.",
    }
    sheets = [count_audience(write(audience(person), variants=[(template, 1)])) for template in (doubtful, broken)]
    pages = [marketer.get(url("detail", broadcast)) for broadcast in sheets]
    told = [{problem.words: problem for problem in page.context["problems"]} for page in pages]
    mend = reverse("nurture:template-edit", args=[broken.slug])
    assert (words["http"] in told[0], told[0][words["http"]].blocks) == (True, False)
    assert (words["broken"] in told[1], told[1][words["broken"]].blocks) == (True, True)
    assert "Send to 1 person now" in pages[0].content.decode()
    assert "It cannot be sent like this." in pages[1].content.decode()
    assert f'href="{mend}">Mend it' in pages[1].content.decode()
    refused = marketer.post(url("send", sheets[1]), {"version": sheets[1].version}, follow=True)
    assert "leads nowhere" in refused.content.decode()
    sheets[1].refresh_from_db()
    assert sheets[1].state == "counted"


def test_of_a_large_audience_the_figures_come_after_the_page(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (figures, results):
        monkeypatch.setattr(module, "FRESH_UP_TO", -1)
    broadcast = send(write(audience(*make_people(2))))
    work()
    sending.send_due(NOW)
    page = marketer.get(url("detail", broadcast))
    assert page.context["is_counted"] is False
    assert f'hx-get="{url("results", broadcast)}"' in page.content.decode()
    part = marketer.get(url("results", broadcast))
    assert [row.people["delivered"] for row in part.context["results"]] == [2]
    Sending.objects.filter(broadcast=broadcast).update(state="uncertain")
    kept = marketer.get(url("detail", broadcast))
    assert [row.people["delivered"] for row in kept.context["results"]] == [2]
    assert kept.context["as_of"] == part.context["as_of"] is not None
    assert kept.context["progress"].uncertain == 2  # how far it is, is always of this moment
    assert marketer.get(url("results", write(audience()))).status_code == 404


def test_each_number_of_a_variant_opens_as_many_people(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = [(make_template(), 1), (make_template(), 1)]
    broadcast = send(write(audience(*make_people(12, country="US")), variants=variants))
    work()
    sending.send_due(NOW)
    mails = list(Sending.objects.filter(broadcast=broadcast, template=variants[0][0]).order_by("pk"))
    responses = {mails[0]: (1, 1), mails[1]: (1, 0), mails[3]: (2, 2)}
    for mail, (opens, clicks) in responses.items():
        MailResponse.objects.create(sending=mail, opens=opens, clicks=clicks)
    MailResponse.objects.create(sending=mails[2], unsubscribed_at=NOW)
    Sending.objects.filter(pk=mails[4].pk).update(state="bounced")
    Sending.objects.filter(pk=mails[5].pk).update(contact=mails[3].contact)  # two contacts who became one
    row = marketer.get(url("detail", broadcast)).context["results"][0]
    expected = {
        "sent": [5, 4, 2, 1, 0], "delivered": [5, 2, 1, 0], "opened": [5, 1, 0], "clicked": [5, 0], "unsubscribed": [2],
        "machines": [],
    }  # fmt: skip
    monkeypatch.setattr(result_pages, "PAGE", 2)
    for seldom in (0, 1_000):  # along the mails, and over all of them
        monkeypatch.setattr(results, "SELDOM", seldom)
        for which, places in expected.items():
            seen, after = [], ""
            while True:
                page = marketer.get(f"{row.people_url}&which={which}&after={after}")
                seen += [mail.pk for mail in page.context["rows"]]
                if not (after := page.context["next"]):
                    break
            assert (which, seen) == (which, [mails[place].pk for place in places])
            assert (page.context["total"], row.people[which]) == (len(places), len(places))


def test_the_page_comes_anew_when_the_last_mail_of_one_that_is_done_has_left(marketer: Client) -> None:
    broadcast = send(write(audience(make_contact())))
    work()
    asked = {"was": "done"}
    assert "HX-Refresh" not in marketer.get(url("state", broadcast), asked)
    sending.send_due(NOW)
    assert marketer.get(url("state", broadcast), asked)["HX-Refresh"] == "true"


def test_who_stays_out_is_listed_by_reason_page_by_page(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasts, "PAGE", 2)
    people = make_people(5)
    Contact.objects.filter(pk__in=[people[0].pk, people[3].pk]).update(email=None)
    broadcast = count_audience(write(audience(*people), out_of=[audience(people[1], people[2], people[4])]))
    seen, after = [], ""
    while True:
        page = marketer.get(url("people", broadcast), {"which": "out", "after": after})
        seen.append([row.contact_id for row, _why in page.context["rows"]])
        if not (after := page.context["next"]):
            break
    kept_out, nowhere = [people[1].pk, people[2].pk, people[4].pk], [people[0].pk, people[3].pk]
    assert [sorted(number for rows in seen for number in rows if number in part) for part in (kept_out, nowhere)] == [
        sorted(kept_out), sorted(nowhere),
    ]  # fmt: skip
    assert [len(rows) for rows in seen] == [2, 2, 1]
    assert set(seen[0]) < set(kept_out)
    monkeypatch.setattr(broadcasts, "EXPORT_PAGE", 2)
    file = b"".join(marketer.get(url("export", broadcast), {"which": "out"}).streaming_content)  # type: ignore[attr-defined]
    assert len(file.decode().splitlines()) == 1 + 5
