"""A program in which each kind of step stands, the people who walk it, and what must hold for them after any crash."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from leads.models import Contact, CustomField, Mark, Owner
from leads.queries import mark
from nurture import engine, queries, turn, webhooks
from nurture.kinds import KINDS
from nurture.mailing import notices, sending
from nurture.models import Enrolment, Program, Sending, SplitPass, StepVisit, Task, WebhookCall
from scoring.models import HandOff, Notice, NoticeWish, PointsGiven
from segments.models import Membership
from tests.database import wait_until_alone
from tests.makers import NOW, make_owner, make_user
from tests.nurture import random_programs
from tests.nurture.makers import make_people, make_program, make_template, put_in, segment_of, set_workspace, step, wait
from tests.nurture.receiver import Receiver
from tests.nurture.sink import Sink
from tests.scoring.conftest import make_model

HOT = {"field": "contact.tags", "op": "includes_any", "value": [random_programs.HOT]}


def build(people: int, *, url: str = "https://receiver.example/ripen") -> Program:
    """Everybody has entered a program in which each kind of step stands, and nobody has moved; Olga wants each notice by mail."""
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    user = make_user()
    owner = make_owner("Olga", user=user)
    NoticeWish.objects.create(user=user, by_mail=NoticeWish.By.AT_ONCE)
    make_template(slug="letter")
    found = make_people(people, stage="inquiry", owner=owner)
    make_model(rules=[("fit", "Hot", 1, HOT)])
    other = make_program(wait(30), name="Other", intake="new")
    Program.objects.filter(pk=other.pk).update(slug="other")
    fixed = segment_of(other).slug
    steps = [node | ({"segment": fixed} if "segment" in node else {}) for node in random_programs.every_kind().steps]
    steps[:0] = [
        step("split", "split", weights={"a": 1, "b": 1}, winner={"conditions": HOT, "days": 1}, a=[], b=[]),
        step("notify", "notify", text="Look", whom="owner"),
        step("webhook", "webhook", url=url),
    ]
    assert {node["kind"] for node in steps} == set(KINDS)
    program = make_program(*steps, name="Everything")
    put_in(segment_of(program), found)
    turn.take_in(NOW)
    return program


def send_in(program: Program, people: int) -> None:
    """So many new people become members of what lets them in; the next beat finds them."""
    with transaction.atomic():
        found = make_people(people, stage="inquiry", owner=Owner.objects.get(name="Olga"))
        mark([person.pk for person in found], Mark.Facet.CONTACT)
        put_in(segment_of(program), found)


def finish(at: datetime = NOW) -> None:
    """As the next beats do; the killed worker's locks fall with its connection."""
    wait_until_alone()
    until = time.monotonic() + 300
    while Enrolment.objects.filter(state="active", next_step_at__lte=at).exists():
        engine.run_due(at, batch=500)
        assert time.monotonic() < until, "somebody is stuck"


def finish_outside(at: datetime, smtp: Sink) -> None:
    """As the beats of the next quarter of an hour do: leases end, what waits leaves."""
    for minutes in (0, 3, 6, 7, 15):
        now = at + timedelta(minutes=minutes)
        sending.send_due(now, server=smtp.server)
        webhooks.send_due(now, seconds=600.0)
        while notices.send_due(now, server=smtp.server):
            pass  # so many at once


def assert_once(program: Program) -> None:
    """Each effect in our own tables once for everybody, and nobody stuck."""
    ids = sorted(Contact.objects.values_list("pk", flat=True))
    once = dict.fromkeys(ids, 1)
    visits = StepVisit.objects.filter(enrolment__program=program)
    done = [key for key in ("start", *(node["id"] for node in program.versions.get().tree["steps"])) if key not in "we"]
    assert Counter(visits.values_list("step", flat=True)) == dict.fromkeys(done, len(ids))
    assert set(Enrolment.objects.filter(program=program).values_list("state", "step")) == {("active", "w")}
    assert whose(Sending.objects.all()) == once
    assert whose(Task.objects.all()) == once
    assert whose(PointsGiven.objects.all()) == once
    assert whose(HandOff.objects.all()) == once
    assert whose(WebhookCall.objects.all()) == once
    assert whose(Notice.objects.filter(kind=Notice.Kind.PROGRAM)) == once
    leads = Notice.objects.exclude(kind=Notice.Kind.PROGRAM).values_list("hand_off__contact_id", flat=True)
    assert Counter(leads) == once
    assert (
        whose(Enrolment.objects.filter(program__slug="other", state="left", ended_why=f"program:{program.slug}"))
        == once
    )
    assert Counter(SplitPass.objects.values_list("enrolment__contact_id", flat=True)) == once
    fixed = Membership.objects.filter(segment__triggered_versions__program__slug="other")
    assert Counter(fixed.exclude(until=None).values_list("contact_id", flat=True)) == once
    assert not fixed.filter(until=None).exists()
    assert set(Contact.objects.values_list("stage", "source", "owner__name")) == {("mql", "x", "Olga")}
    assert not any(tags for (tags,) in Contact.objects.values_list("tags"))
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def whose(rows: QuerySet[Any]) -> Counter[int]:
    return Counter(rows.values_list("contact_id", flat=True))


def assert_mailed_once(smtp: Sink) -> int:
    """No mail twice; what the sink received and what is listed as uncertain is all that was planned. How many are uncertain."""
    people = set(Contact.objects.values_list("email", flat=True))
    received = Counter(address for address in smtp.recipients if address in people)
    assert max(received.values(), default=0) <= 1
    by_state = {
        state: set(Sending.objects.filter(state=state).values_list("address", flat=True))
        for state in ("sent", "uncertain")
    }
    assert by_state["sent"] <= set(received)
    assert set(received) | by_state["uncertain"] == people
    assert set(Sending.objects.values_list("state", flat=True)) <= set(by_state)
    return len(by_state["uncertain"])


def assert_called_once(http: Receiver) -> None:
    """The distinct keys that arrived at the receiver are exactly those planned, one a person, and every call was taken."""
    planned = {str(token) for token in WebhookCall.objects.values_list("token", flat=True)}
    assert set(http.keys) == planned
    assert len(planned) == Contact.objects.count()
    assert set(WebhookCall.objects.values_list("state", "status")) == {("sent", 200)}


def assert_told_once(smtp: Sink) -> int:
    """No notice stands in two mails, and those that were sent in one; how many may have left or not."""
    olga = Owner.objects.get(name="Olga").user
    assert olga is not None
    lines = Counter(line for mail in smtp.messages if olga.email in str(mail["To"]) for line in _lines(mail))
    rows = list(Notice.objects.all())
    told = {row.pk: lines[_link(row)] for row in rows}
    assert {row.mail for row in rows} <= {Notice.Mail.SENT, Notice.Mail.SENDING}
    assert {told[row.pk] for row in rows if row.mail == Notice.Mail.SENT} <= {1}
    unsure = [told[row.pk] for row in rows if row.mail == Notice.Mail.SENDING]
    assert set(unsure) <= {0, 1}
    return len(unsure)


def _lines(mail: EmailMessage) -> list[str]:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).splitlines()


def _link(row: Notice) -> str:
    about = (
        reverse("scoring:hand-off-detail", args=[row.hand_off_id])
        if row.hand_off_id
        else reverse("leads:contact-detail", args=[row.contact_id])
    )
    return f"{settings.PUBLIC_URL}{about}"
