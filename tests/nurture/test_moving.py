"""The publish sheet of an edit: exact numbers for each step where people stand, and what is chosen for them, done once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import MARKETER
from leads.models import AuditEntry, Contact
from nurture import actions, queries
from nurture.kinds import Names
from nurture.models import Enrolment, Program, ProgramVersion, Sending
from nurture.publication import moving, publishing
from tests.makers import NOW, make_user
from tests.nurture.makers import (
    mail,
    make_people,
    make_walk,
    put_in,
    segment_of,
    step,
    trace,
    wait,
    walk,
    work_publications,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def build() -> tuple[Program, list[Contact], ProgramVersion]:
    """Five people: two at a wait of ten days that becomes five, three at one that is removed; one of them is parked."""
    branch = step(
        "branch",
        "b",
        conditions={"field": "contact.title", "op": "is_known"},
        yes=[wait(10, step_id="kept")],
        no=[wait(20, step_id="removed")],
    )
    program, people = make_walk(mail(step_id="m"), branch, step("add_tag", "t", tag="old"), people=5)
    Contact.objects.filter(pk__in=[people[0].pk, people[1].pk]).update(title="CFO")
    walk(NOW)
    Enrolment.objects.filter(contact=people[4]).update(state="parked", next_step_at=None, problem="Broken")
    draft = actions.start_draft(program, actor=None, now=NOW)
    fresh = step(
        "branch", "b", conditions={"field": "contact.title", "op": "is_known"}, yes=[wait(5, step_id="kept")], no=[]
    )
    steps = [mail(step_id="m"), fresh, wait(2, step_id="new"), step("add_tag", "t", tag="new")]
    steps[0]["template"] = draft.tree["steps"][0]["template"]
    draft = actions.edit_draft(draft, edit_number=draft.edit_number, change=lambda _old: {"steps": steps}, now=NOW)
    return program, people, draft


def publish(draft: ProgramVersion, moves: dict[str, str], *, now: Any) -> ProgramVersion:
    return publishing.publish(
        draft, edit_number=draft.edit_number, intake="new", since=None, actor=None, now=now, moves=moves
    )


def places(program: Program) -> set[tuple[int, int, str, str, Any]]:
    return set(
        Enrolment.objects.filter(program=program).values_list(
            "contact", "version__number", "state", "step", "next_step_at"
        )
    )


def test_the_sheet_counts_exactly_and_says_what_changed() -> None:
    program, _people, draft = build()
    found = moving.stops(program, draft, Names())
    assert [(stop.step_id, stop.people, stop.change, stop.offers) for stop in found] == [
        ("kept", 2, "changed", ["finish", "stay", "retime", "release"]),
        ("removed", 3, "removed", ["finish", "release"]),
    ]


def test_nothing_chosen_means_everybody_finishes_on_the_old_version() -> None:
    program, people, draft = build()
    before = places(program)
    publish(draft, {}, now=NOW + DAY)
    assert places(program) == before
    walk(NOW + 10 * DAY)
    assert trace(people[0])[-2:] == [("kept", "done"), ("t", "done")]
    assert Contact.objects.get(pk=people[0].pk).tags == ["old"]


def test_waits_counted_anew_and_others_moved_to_a_step() -> None:
    program, people, draft = build()
    kept, removed = (stop.key for stop in moving.stops(program, draft, Names()))
    publish(draft, {kept: "retime", removed: "to:new"}, now=NOW + DAY)
    assert places(program) == {
        *((person.pk, 2, "active", "kept", NOW + 5 * DAY) for person in people[:2]),
        *((person.pk, 2, "active", "new", NOW + 3 * DAY) for person in people[2:]),
    }
    assert AuditEntry.objects.get(verb="published", detail__version=2).detail["moved"] == {"retime": 2, "to": 3}
    walk(NOW + 3 * DAY)
    walk(NOW + 5 * DAY)  # two more days at the new wait below
    walk(NOW + 7 * DAY)
    assert {tuple(tags) for tags in Contact.objects.values_list("tags", flat=True)} == {("new",)}
    assert Sending.objects.count() == 5  # nobody got the first mail again
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def test_stay_and_release() -> None:
    program, people, draft = build()
    kept, removed = (stop.key for stop in moving.stops(program, draft, Names()))
    publish(draft, {kept: "stay", removed: "release"}, now=NOW + DAY)
    assert places(program) == {
        *((person.pk, 2, "active", "kept", NOW + 10 * DAY) for person in people[:2]),
        *((person.pk, 1, "left", "", None) for person in people[2:]),
    }
    assert set(Enrolment.objects.filter(state="left").values_list("ended_why", flat=True)) == {"released"}
    assert Sending.objects.filter(contact__in=people[2:], why_not="left_program").count() == 3


def test_a_wait_that_would_be_over_already_is_due_at_once() -> None:
    program, people, draft = build()
    kept = moving.stops(program, draft, Names())[0].key
    publish(draft, {kept: "retime"}, now=NOW + 8 * DAY)
    assert set(Enrolment.objects.filter(version__number=2).values_list("next_step_at", flat=True)) == {NOW + 8 * DAY}


@pytest.mark.parametrize("choice", ["stay", "retime", "to:gone", "nonsense"])
def test_a_choice_that_does_not_fit_changes_nothing(choice: str) -> None:
    program, _people, draft = build()
    before, removed = places(program), moving.stops(program, draft, Names())[1].key
    with pytest.raises(actions.NurtureRefused, match="cannot be chosen"):
        publish(draft, {removed: choice}, now=NOW)
    assert places(program) == before
    draft.refresh_from_db()
    assert draft.state == "draft"


def test_the_entry_stays_the_entry() -> None:
    program, _people, draft = build()
    late = make_people(1)
    put_in(segment_of(program), late)
    Enrolment.objects.create(
        program=program,
        version=program.versions.get(number=1),
        contact=late[0],
        step="start",
        next_step_at=NOW,
        entered_at=NOW,
    )
    start = next(stop for stop in moving.stops(program, draft, Names()) if stop.step_id == "start")
    assert (start.change, start.offers) == ("same", ["finish", "stay", "release"])
    publish(draft, {start.key: "stay"}, now=NOW)
    walk(NOW)
    assert Enrolment.objects.get(contact=late[0]).version.number == 2


def test_the_page_of_the_sheet() -> None:
    program, people, draft = build()
    client = Client()
    client.force_login(make_user(MARKETER), backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("nurture:program-publish", args=[program.slug])
    page = client.get(url)
    kept, removed = (stop.key for stop, _field in page.context["stops"])
    assert (page.context["inside"], [stop.people for stop, _field in page.context["stops"]]) == (5, [2, 3])
    typed = {"intake": "new", "edit_number": draft.edit_number, f"move-{kept}": "stay", f"move-{removed}": "to:new"}
    assert client.post(url, {**typed, f"move-{removed}": "to:gone"}).status_code == 200  # said beside the field
    assert not Enrolment.objects.filter(version=draft).exists()
    assert client.post(url, typed).status_code == 302
    assert Enrolment.objects.filter(version=draft).count() == 0  # a worker does it
    work_publications(timezone.now())
    assert Enrolment.objects.filter(version=draft).count() == 5
    people_url = reverse("nurture:program-people", args=[program.slug])
    assert client.get(f"{people_url}?version=2&step=new&which=here").context["total"] == 3
