"""A contact graduates a stage, leaves program A and enters B; the mail that A had planned does not go out. Real turns, a real SMTP server."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from leads.models import Contact
from nurture import actions
from nurture.mailing import sending
from nurture.models import Enrolment, Sending
from nurture.publication import publishing
from nurture.turn import turn
from scoring import graduation
from scoring.actions.graduation import save_graduation
from tests.makers import NOW, make_activity, make_contact, make_segment
from tests.nurture.makers import mail, make_template, put_in, set_workspace, wait
from tests.nurture.sink import sink

EVENING = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
IS_MQL = {"field": "contact.stage", "op": "is", "value": "mql"}


@pytest.mark.django_db(transaction=True)
def test_who_graduates_leaves_one_program_for_the_other_and_the_planned_mail_stays_here() -> None:
    set_workspace(
        timezone="UTC",
        mail_start=time(9),
        mail_end=time(17),
        sender_email="letter@ripen.test",
        postal_address="Lane 1, Town",
    )
    letter_a = make_template("A: read this first", name="A")
    letter_b = make_template("B: welcome, you are ripe", name="B")
    readers = make_segment(name="Readers")
    educate = actions.create_program(
        name="Educate", trigger_segment=readers, document={"steps": [mail(letter_a, "a"), wait(30, "days")]}, actor=None, now=NOW
    )  # fmt: skip
    draft = actions.set_around(
        educate.versions.get(), edit_number=1, document={"exit": {"conditions": IS_MQL}}, now=NOW
    )
    publishing.publish(draft, edit_number=2, intake="all", since=None, actor=None, now=NOW)
    ripe = actions.create_program(
        name="Ripe", trigger_segment=None, triggers=[{"id": "t1", "kind": "stage", "stages": ["mql"]}],
        document={"steps": [mail(letter_b, "b"), wait(30, "days")]}, actor=None, now=NOW,
    )  # fmt: skip
    publishing.publish(ripe.versions.get(), edit_number=1, intake="new", since=None, actor=None, now=NOW)
    save_graduation(
        None,
        name="Asked for prices",
        to_stage="mql",
        from_stages=graduation.usual_from("mql"),
        conditions={"did": "page_view", "where": [{"field": "url", "op": "contains", "value": "/pricing"}]},
        now=NOW,
    )
    vera, emil = make_contact("vera@x.test"), make_contact("emil@x.test")
    put_in(readers, [vera, emil], now=NOW)

    # 1. In the evening A plans a mail for both; it waits for the morning.
    turn(EVENING)
    assert dict(Sending.objects.values_list("contact__email", "template__name")) == {
        "vera@x.test": "A", "emil@x.test": "A",
    }  # fmt: skip
    with sink() as found:
        assert sending.send_due(EVENING, server=found.server).sent == 0

        # 2. At night Vera looks at the prices: one turn graduates her, takes her out of A and into B.
        make_activity(vera, "page_view", url="https://x.test/pricing", at=EVENING + timedelta(hours=1))
        turn(EVENING + timedelta(hours=1))
        assert Contact.objects.get(pk=vera.pk).stage == "mql"
        walks = (
            Enrolment.objects.filter(contact=vera)
            .order_by("pk")
            .values_list("program__name", "state", "ended_why", "entered_why")
        )
        assert list(walks) == [
            ("Educate", "left", "exit", f"segment:{readers.slug}"),
            ("Ripe", "active", "", "stage#t1"),
        ]

        # 3. In the morning each gets one mail, and Vera's is B's.
        report = sending.send_due(MORNING, server=found.server)
        assert report.sent == 2
        letters = [message["Subject"] for message in found.messages]
        assert sorted(zip(found.recipients, letters, strict=True)) == [
            ("emil@x.test", "A: read this first"),
            ("vera@x.test", "B: welcome, you are ripe"),
        ]
        turn(MORNING + timedelta(hours=1))
        assert sending.send_due(MORNING + timedelta(hours=1), server=found.server).sent == 0
    withheld = Sending.objects.get(contact=vera, template=letter_a)
    assert (withheld.state, withheld.why_not) == ("not_sent", "left_program")
    assert not Enrolment.objects.filter(contact=emil, program=ripe).exists()
