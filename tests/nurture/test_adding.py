"""People added by hand from the list: the page says who would enter and who is refused for what, and does exactly that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import MARKETER, SALES
from leads.models import Contact
from nurture import actions, adding
from nurture.models import Enrolment
from nurture.turn import take_in
from segments.actions import add_to_segment
from tests.makers import NOW, make_contact, make_segment, make_user
from tests.nurture.makers import make_people, make_program, publish, put_in, segment_of, wait, walk

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def words(preview: adding.Preview) -> list[tuple[str, int]]:
    return [(refusal.words, refusal.number) for refusal in preview.refused]


def test_who_enters_and_who_is_refused_for_what() -> None:
    outside = make_segment(slug="customers", name="Customers")
    program = make_program(wait(1), live=False)
    around = {
        "keep_out": ["customers"],
        "goal": {"conditions": {"field": "contact.title", "op": "is", "value": "Boss"}},
    }
    actions.set_around(program.versions.get(), edit_number=1, document=around, now=NOW)
    publish(program)
    program.refresh_from_db()
    fresh, walks, was, customer = make_people(4)
    boss = make_contact(title="Boss")
    put_in(segment_of(program), [walks, was])
    add_to_segment(outside, contact_ids=[customer.pk], cause="by_hand", actor=None, now=NOW)
    take_in(NOW)
    walk()
    actions.release_person(Enrolment.objects.get(contact=was), actor=None, now=NOW)
    everybody = [one.pk for one in (fresh, walks, was, customer, boss)]
    found = adding.preview(program, [*everybody, 10**9], NOW + DAY)
    assert found.entering == (fresh.pk,)
    assert words(found) == [
        ("Were in it before; everybody enters once.", 1),
        ("Had reached the goal before.", 1),
        ("Are inside already.", 1),
        ("Belongs to “Customers”, whose members are kept out.", 1),
    ]
    assert found.refused[2].named == [walks]
    assert adding.add(program, everybody, actor=None, now=NOW + DAY) == 1
    assert adding.add(program, everybody, actor=None, now=NOW + DAY) == 0
    row = Enrolment.objects.get(contact=fresh)
    assert (row.entered_why, row.state, row.entered_at) == ("by_hand", "active", NOW + DAY)


def test_who_may_enter_anew_and_who_is_held_out() -> None:
    program = make_program(wait(1), live=False)
    around = {
        "again": {"days": 5}, "hold_out": 50,
        "goal": {"conditions": {"field": "contact.title", "op": "is", "value": "Boss"}},
    }  # fmt: skip
    actions.set_around(program.versions.get(), edit_number=1, document=around, now=NOW)
    publish(program)
    program.refresh_from_db()
    people = make_people(20)
    ids = [one.pk for one in people]
    assert adding.add(program, ids, actor=None, now=NOW) == 20
    walk()
    held = set(Enrolment.objects.filter(state="held_out").values_list("contact", flat=True))
    walk(NOW + DAY)
    assert words(adding.preview(program, ids, NOW + 2 * DAY)) == [
        ("Were in it before, and not long enough ago to enter anew.", 20)
    ]
    later = adding.preview(program, ids, NOW + 7 * DAY)
    assert (len(later.entering), set(later.held_out)) == (20, held)


@pytest.mark.parametrize("state", ["draft", "paused"])
def test_a_program_that_takes_nobody_in_says_so(state: str) -> None:
    program = make_program(wait(1), live=state != "draft")
    if state == "paused":
        actions.pause(program, actor=None, now=NOW)
        program.refresh_from_db()
    with pytest.raises(actions.NurtureRefused, match="takes nobody in"):
        adding.preview(program, [make_contact().pk], NOW)


def test_from_the_list_to_the_program(client: Client) -> None:
    program = make_program(wait(1), now=timezone.now() - DAY)
    people = make_people(3)
    client.force_login(make_user(MARKETER))
    chosen = {"action": "add_to_program", "chosen": [one.pk for one in people]}
    page = client.post(reverse("leads:contact-bulk"), chosen).headers["Location"]
    assert "who enters" in client.get(page).content.decode()
    sheet = client.get(f"{page}&program={program.slug}")
    assert sheet.context["preview"].entering == tuple(Contact.objects.order_by("pk").values_list("pk", flat=True))
    answer = client.post(page, {"program": program.slug})
    assert answer.headers["Location"] == reverse("nurture:program-detail", args=[program.slug])
    assert Enrolment.objects.filter(program=program, entered_why="by_hand").count() == 3
    assert client.get(f"{reverse('nurture:people-add')}?chosen=gone").headers["Location"] == reverse(
        "leads:contact-list"
    )


def test_only_who_may_publish_adds_people(client: Client) -> None:
    client.force_login(make_user(SALES))
    assert client.get(reverse("nurture:people-add")).status_code == 403
    assert client.post(reverse("leads:contact-bulk"), {"action": "add_to_program"}).status_code == 403
