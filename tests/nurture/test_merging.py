"""Two contacts become one in programs: one walk per person and program, one address to write to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leads import merging
from leads.models import Contact
from nurture.models import Enrolment, Sending
from segments.models import Membership, SegmentOverride
from segments.turn import turn
from tests.makers import NOW, make_contact
from tests.nurture.makers import mail, make_walk, only_enrolment, put_in, segment_of, step, wait, walk

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def told(kept: Contact, gone: Contact) -> list[str]:
    pair = merging.Pair(kept, gone, kept.email, NOW)
    return [line.text for part, lines in merging.sheet(pair) if part.key == "programs" for line in lines]


def merge(kept: Contact, gone: Contact, **take: str) -> None:
    merging.merge_contacts(kept, gone=gone, take=take, actor=None, now=NOW + DAY)


def test_a_walk_goes_on_and_is_not_begun_a_second_time() -> None:
    program, [gone] = make_walk(wait(3), mail())
    kept = make_contact()
    walk(NOW)
    enrolment = only_enrolment(gone)
    assert told(kept, gone) == [f"In “{program}” (active): goes on there, and does not enter a second time."]
    merge(kept, gone)
    turn(NOW + DAY)  # the segment's decision by hand went over too, and the program sees a new member
    assert SegmentOverride.objects.get(contact=kept).segment == segment_of(program)
    assert Membership.objects.get(until=None).contact == kept
    found = only_enrolment(kept)
    assert (found.pk, found.state, found.step) == (enrolment.pk, "active", enrolment.step)
    walk(NOW + 4 * DAY)
    assert Sending.objects.get().address == kept.email


def test_of_two_walks_the_one_under_way_stays_and_the_other_mail_is_not_sent() -> None:
    program, [ahead] = make_walk(mail(), wait(3), step("add_tag", tag="done"))
    walk(NOW)
    walk(NOW)
    behind = make_contact()
    put_in(segment_of(program), [behind])
    turn(NOW)
    walk(NOW)
    assert list(Sending.objects.values_list("state", "why_not")) == [("queued", "")] * 2
    Enrolment.objects.filter(contact=behind).update(visit=1)
    assert told(behind, ahead) == [
        f"Both are in “{program}”: the walk of {ahead} goes on (active), the other one ends.",
        "1 mail joins the history.",
        "1 mail that still waits is not sent.",
    ]
    merge(behind, ahead, email="gone")
    assert only_enrolment(behind).visit > 1
    found = {row.state: (row.address, row.contact) for row in Sending.objects.all()}
    assert found == {"queued": (ahead.email, behind), "not_sent": (behind.email, behind)}
    assert Sending.objects.get(state="not_sent").why_not != ""


def test_a_waiting_mail_goes_to_the_address_that_stays() -> None:
    _program, [gone] = make_walk(mail())
    walk(NOW)
    Sending.objects.update(lease_until=NOW + DAY)  # a worker is preparing it to the old address: it must not win
    kept = make_contact("stays@ripen.test")
    merge(kept, gone)
    row = Sending.objects.get()
    assert (row.address, row.contact, row.lease_until) == ("stays@ripen.test", kept, None)


def test_all_rounds_of_the_walk_that_stays_come_along_and_all_of_the_other_go() -> None:
    program, [often] = make_walk(wait(3))
    walk(NOW)
    once = make_contact()
    put_in(segment_of(program), [once])
    turn(NOW)
    ended = {"state": "finished", "step": "", "next_step_at": None, "ended_at": NOW}
    Enrolment.objects.filter(contact=once).update(**ended)
    first = only_enrolment(often)
    Enrolment.objects.create(
        program=program,
        version=first.version,
        contact=often,
        round=2,
        entered_at=NOW,
        entered_why="segment:x",
        visit=9,
        **ended,
    )
    merge(once, often)
    assert list(Enrolment.objects.order_by("round").values_list("contact", "round", "state")) == [
        (once.pk, 1, "active"),
        (once.pk, 2, "finished"),
    ]
