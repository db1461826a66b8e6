"""Blocks that some readers see, what mails name beyond the contact, and mails that a mended template writes after all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads.access import MARKETER, SALES
from leads.actions import NewActivity, record_activities
from leads.models import Contact
from nurture.actions import EditedMeanwhile, NurtureRefused, save_template
from nurture.mailing import sending
from nurture.models import Enrolment, Sending, Template
from nurture.templating import writing
from nurture.templating.readers import Readers
from nurture.templating.rendering import compiled
from scoring.models import Score, ScoreModel
from segments.graph import used_by
from segments.renaming import rename_segment
from tests.makers import NOW, make_contact, make_owner, make_segment
from tests.nurture.makers import mail, make_program, make_template
from tests.nurture.test_views import signed_in

pytestmark = pytest.mark.django_db

MANAGERS = {"field": "contact.title", "op": "contains", "value": "manager"}
BLOCKS = [{"key": "managers", "conditions": MANAGERS}]
BODY = "<p>Hi</p>{% block managers %}<p>For managers</p>{% else %}<p>For others</p>{% endblock %}"


def queue(*people: Contact, template: Template | None = None, **written: Any) -> None:
    found = template or make_template(**written)
    for person in people:
        address = person.email or ""
        Sending.objects.create(
            key=f"test:{address}", contact=person, template=found, address=address, queued_at=NOW, due_at=NOW
        )


def texts() -> dict[str, str]:
    return dict(Sending.objects.values_list("address", "text"))


def test_each_reader_sees_their_own_blocks() -> None:
    boss, clerk = make_contact("boss@x.test", title="Plant Manager"), make_contact("clerk@x.test", title="Clerk")
    queue(boss, clerk, body=BODY, blocks=BLOCKS)
    assert sending.send_due(NOW).sent == 2
    read = texts()
    assert "For managers" in read["boss@x.test"]
    assert "For others" not in read["boss@x.test"]
    assert "For others" in read["clerk@x.test"]


@pytest.mark.parametrize("readers", [1, 3])
def test_blocks_and_scores_are_read_once_for_all(
    readers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    body = BODY + "{{ score.default.total }}{{ content.page.title }}{{ program.name }}"
    queue(*[make_contact(f"r{n}@x.test", title="Manager") for n in range(readers)], body=body, blocks=BLOCKS)
    rows = list(Sending.objects.select_related("contact", "template"))
    with django_assert_num_queries(8):  # what the template asks for, and what a rule needs to be read
        about = Readers(rows, at=NOW)
        for row in rows:
            about.about(row, row.template, compiled(row.template))


def test_score_program_and_content_may_be_named() -> None:
    person = make_contact("ada@x.test")
    model = ScoreModel.objects.get(slug="default")
    Score.objects.create(
        contact=person, model=model, total=Decimal("75.00"), fit=50, behaviour=Decimal("25.5"), negative=0, grade="A1", computed_at=NOW
    )  # fmt: skip
    seen = [
        NewActivity(person.pk, "page_view", NOW - timedelta(days=3), url="https://plant.test/old", subject="Old page"),
        NewActivity(person.pk, "page_view", NOW - timedelta(days=1), url="https://plant.test/new", subject="New page"),
        NewActivity(person.pk, "page_view", NOW + timedelta(days=1), url="https://plant.test/ahead", subject="Ahead"),
    ]
    record_activities(seen, now=NOW)
    body = (
        "{{ score.default.total }}|{{ score.default.behaviour }}|{{ score.default.grade }}|{{ score.none.total | default: 0 }}|"
        "{{ content.page.title }}|{{ content.page.url }}|{{ content.webinar.title | default: 'none' }}|{{ program.name | default: '-' }}"
    )
    queue(person, body=body)
    assert sending.send_due(NOW).sent == 1
    assert texts()["ada@x.test"].splitlines()[0] == "75|25.5|A1|0|New page|https://plant.test/new|none|-"


def test_the_program_that_sends_may_be_named() -> None:
    template = make_template(body="<p>{{ program.name }} since {{ program.entered_on }}</p>")
    program = make_program(mail(template), name="Welcome")
    person = make_contact("ada@x.test")
    walk = Enrolment(program=program, version=program.versions.get(), contact=person, state="finished", entered_at=NOW)
    walk.entered_why, walk.ended_at = "by_hand", NOW
    walk.save()
    queue(person, template=template)
    Sending.objects.update(enrolment=walk)
    assert sending.send_due(NOW).sent == 1
    assert texts()["ada@x.test"].startswith(f"Welcome since {NOW.date().isoformat()}\n")


def test_the_owner_writes_and_gets_the_answers() -> None:
    max_muster = make_owner("Max Muster")
    max_muster.email = "max@plant.test"
    max_muster.save()
    queue(
        make_contact("ada@x.test", owner=max_muster),
        make_contact("bo@x.test"),
        body="<p>x</p>",
        sender_name="{{ owner.name }}",
        reply_to="{{ owner.email }}",
    )
    assert sending.send_due(NOW).sent == 2
    heads = {row.address: dict(row.headers) for row in Sending.objects.all()}
    assert heads["ada@x.test"]["From"].startswith("Max Muster <")
    assert heads["ada@x.test"]["Reply-To"] == "max@plant.test"
    assert not heads["bo@x.test"]["From"].startswith("Max")
    assert "Reply-To" not in heads["bo@x.test"]


def test_a_mail_that_cannot_be_written_is_kept_and_written_after_all() -> None:
    good, bad = make_contact("good@x.test", custom={"n": 1}), make_contact("bad@x.test", custom={"n": 0})
    queue(good, bad, body="<p>{{ 10 | divided_by: contact.custom.n }}</p>")
    report = sending.send_due(NOW)
    assert (report.sent, report.not_sent) == (1, 1)
    row = Sending.objects.get(address="bad@x.test")
    assert (row.state, row.why_not.startswith(sending.UNWRITTEN)) == ("not_sent", True)
    assert sending.why_words(row.why_not).startswith("It could not be written: A placeholder cannot be worked out: ")
    template = row.template
    values: dict[str, Any] = {
        "name": template.name,
        "subject": template.subject,
        "preheader": "",
        "format": "html",
        "actor": None,
    }
    save_template(template, **values, body="<p>{{ contact.custom.n }}</p>", now=NOW)
    assert writing.write_again(template, actor=None, now=NOW) == 1
    assert writing.write_again(template, actor=None, now=NOW) == 0
    assert sending.send_due(NOW).sent == 1
    assert set(Sending.objects.values_list("address", "state")) == {("good@x.test", "sent"), ("bad@x.test", "sent")}


def test_a_block_whose_condition_no_longer_fits_keeps_the_mail() -> None:
    queue(make_contact("ada@x.test"), body=BODY, blocks=[{"key": "managers", "conditions": {"in_segment": "gone"}}])
    assert sending.send_due(NOW).not_sent == 1
    assert "gone" in Sending.objects.get().why_not


def test_blocks_are_made_and_removed_by_their_own_form() -> None:
    template, client = make_template(), signed_in(MARKETER)
    url = reverse("nurture:block-new", args=[template.slug])
    assert signed_in(SALES).get(url).status_code == 403
    assert client.get(url).status_code == 200
    wrong = client.post(url, {"key": "Managers!", "conditions": "", "version": 1})
    assert (wrong.status_code, set(wrong.context["form"].errors)) == (422, {"key", "conditions"})
    text = '{"field": "contact.title", "op": "contains", "value": "manager"}'
    assert client.post(url, {"key": "managers", "conditions": text, "version": 1}).status_code == 302
    template.refresh_from_db()
    assert (template.blocks, template.version) == (BLOCKS, 2)
    with pytest.raises(EditedMeanwhile):
        writing.set_block(template, key="x", conditions=MANAGERS, version=1, actor=None, now=NOW)
    Template.objects.filter(pk=template.pk).update(body=BODY)
    with pytest.raises(NurtureRefused, match="name the block"):
        writing.remove_block(template, key="managers", version=2, actor=None, now=NOW)
    page = client.get(reverse("nurture:template-edit", args=[template.slug])).content.decode()
    assert "contains “manager”" in page
    Template.objects.filter(pk=template.pk).update(body="<p>x</p>")
    gone = reverse("nurture:block-delete", args=[template.slug, "managers"])
    assert signed_in(SALES).post(gone, {"version": 2}).status_code == 403
    client.post(gone, {"version": 2})
    template.refresh_from_db()
    assert template.blocks == []


def test_a_segment_that_a_block_names_is_in_use_and_takes_it_along() -> None:
    segment = make_segment(name="Old", slug="old")
    template = make_template(blocks=[{"key": "some", "conditions": {"in_segment": "old"}}])
    assert [use.key for use in used_by("segment:old")] == [f"template:{template.slug}"]
    rename_segment(segment, slug="newer", actor=None, now=NOW)
    template.refresh_from_db()
    assert template.blocks == [{"key": "some", "conditions": {"in_segment": "newer"}}]


def test_a_preview_shows_what_the_contact_would_see(client: Client) -> None:
    make_template(slug="t", body=BODY, blocks=BLOCKS)
    make_contact("boss@x.test", title="Manager")
    data = {"template": "t", "format": "html", "subject": "S", "body": BODY, "contact": "boss@x.test"}
    answer = signed_in(MARKETER).post(reverse("nurture:template-preview"), data)
    assert "For managers" in answer.context["preview"].html
    make_contact("clerk@x.test")
    again = signed_in(MARKETER).post(reverse("nurture:template-preview"), data | {"contact": "clerk@x.test"})
    assert "For others" in again.context["preview"].html
    assert Contact.objects.count() == 2
