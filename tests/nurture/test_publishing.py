"""A publication is one job, which may be killed between any two of its transactions, and taken back until it has affected somebody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import MARKETER, SALES
from leads.models import AuditEntry, Contact
from nurture import actions, engine, entering, guards, queries, turn
from nurture.models import (
    Enrolment,
    Program,
    ProgramVersion,
    Publication,
    PublicationMove,
    Trigger,
)
from nurture.publication import moving, publishing, publishing_job
from tests.makers import NOW, make_segment, make_user
from tests.nurture.edited import LATER, Edited, build, rows
from tests.nurture.makers import (
    make_people,
    make_program,
    publish,
    put_in,
    segment_of,
    step,
    wait,
    walk,
    work_publications,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SMALL = 3  # people in one transaction: every step of the sheet but the last takes two


def work(publication: Publication, transactions: int, *, now: Any = LATER) -> bool:
    """So many transactions of the worker; whether it was through before."""
    return not all(publishing_job.carry_on(publication.pk, now, size=SMALL) for _each in range(transactions))


def take_back(publication: Publication, *, now: Any = LATER, reason: str = "Wrong") -> None:
    publishing.take_back(publication, reason=reason, actor=None, now=now)


def broken() -> set[str]:
    return {name for name in queries.INVARIANTS if not queries.holds(name)}


# --- Carried out -----------------------------------------------------------------------------------------------------------------


def test_the_sheet_is_carried_out_page_by_page() -> None:
    edited = build()
    publication = edited.ask()
    assert (publication.people_total, publication.asked_at, publication.reason) == (10, LATER, "Shorter waits")
    assert [(row["step"], row["people"], row["choice"]) for row in publication.sheet] == [
        ("a", 3, "retime"),
        ("d", 3, "stay"),
        ("e", 3, "release"),
        ("start", 1, "to:new"),
    ]
    assert work(publication, 100)
    publication.refresh_from_db()
    assert (publication.state, publication.moved, publication.people_done) == (
        "done",
        {"retime": 3, "stay": 3, "release": 3, "to": 1},
        10,
    )
    stand = Enrolment.objects.values_list("version__number", "state", "step", "next_step_at")
    assert sorted(stand, key=repr) == sorted(
        [(2, "active", "a", NOW + 5 * DAY)] * 3
        + [(2, "active", "d", NOW + 20 * DAY)] * 3
        + [(1, "left", "", None)] * 3
        + [(2, "active", "new", LATER + 7 * DAY)],
        key=repr,
    )
    entry = AuditEntry.objects.get(verb="published", detail__version=2)
    assert entry.detail == {
        "version": 2,
        "intake": "new",
        "moved": {"retime": 3, "stay": 3, "release": 3, "to": 1},
        "queued": 0,
        "reason": "Shorter waits",
    }
    assert broken() == set()


def test_nobody_inside_moves_meanwhile_and_whoever_enters_does_so_afterwards() -> None:
    edited = build()
    due = NOW + 60 * DAY  # everybody's wait is over
    publication = edited.ask()
    held = [  # how the program reads while the worker is at it: before it is live, between pages, at the end
        not engine.run_due(due).steps and not guards.follow([person.pk for person in edited.people], due)
        for _each in range(30)
        if publishing_job.carry_on(publication.pk, LATER, size=SMALL) and Program.objects.get().publishing_since
    ]
    assert len(held) > 6
    assert all(held)
    assert engine.run_due(due).steps > 0
    assert not Enrolment.objects.filter(version__number=1, state="active").exists()


def test_the_brake_works_meanwhile_and_nothing_else() -> None:
    edited = build()
    publication, program = edited.ask(), edited.program
    refused: list[Callable[[], Any]] = [
        lambda: edited.ask(),
        lambda: actions.stop(program, actor=None, now=LATER),
        lambda: actions.start_draft(program, actor=None, now=LATER),
        lambda: actions.discard_draft(edited.draft, actor=None, now=LATER),
        lambda: actions.undo_edit(edited.draft, edit_number=edited.draft.edit_number, now=LATER),
        lambda: actions.drop_queue(program, actor=None, now=LATER),
    ]
    for verb in refused:
        with pytest.raises(actions.BeingPublished, match="under way"):
            verb()
    actions.pause(program, actor=None, now=LATER)
    with pytest.raises(actions.BeingPublished):
        actions.resume(program, waits="at_once", actor=None, now=LATER)
    assert work(publication, 100)
    program.refresh_from_db()
    assert (program.state, program.publishing_since) == ("paused", None)


def test_a_publication_that_breaks_off_says_why_and_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    edited = build()
    publication = edited.ask()

    def breaks(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("No such day")

    with monkeypatch.context() as patched:
        patched.setattr(moving, "move_page", breaks)
        publishing_job.run_due(lambda: LATER)
    publication.refresh_from_db()
    assert (publication.state, publication.problem) == ("moving", "No such day")
    work_publications(LATER)  # too soon
    publication.refresh_from_db()
    assert publication.state == "moving"
    work_publications(LATER + publishing_job.AGAIN_AFTER)
    publication.refresh_from_db()
    assert (publication.state, publication.problem) == ("done", "")


# --- Taken back ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("intake", "per_day", "every"), [("new", None, 1), ("all", None, 4), ("all", 5, 4)])
def test_taken_back_at_any_moment_everything_is_as_it_was(intake: str, per_day: int | None, every: int) -> None:
    """After each number of transactions of the worker, and when it was through."""
    edited = build()
    before = rows()
    reached: set[str] = set()
    for transactions in range(0, 100, every):
        publication = edited.ask(intake, per_day)
        is_through = work(publication, transactions)
        publication.refresh_from_db()
        reached.add(publication.state)
        take_back(publication)
        assert work(publication, 100)
        assert rows() == before
        publication.refresh_from_db()
        assert (publication.state, publication.taken_back_at, publication.taken_back_reason) == (
            "taken_back",
            LATER,
            "Wrong",
        )
        if is_through:
            break
    assert reached == {"asked", "moving", "done"}
    assert not PublicationMove.objects.exists()
    assert AuditEntry.objects.filter(verb="took back the publication of").count() == transactions // every + 1
    assert broken() == set()
    edited.ask(intake, per_day)  # and it can be published again
    work_publications(LATER)
    assert ProgramVersion.objects.get(state="live").number == 2


def test_who_enters_while_people_go_over_enters_the_version_before_when_it_is_taken_back() -> None:
    edited = build()
    publication = edited.ask()
    while not ProgramVersion.objects.filter(number=2, state="live").exists():
        work(publication, 1)
    comes, tagged = make_people(2)
    put_in(segment_of(edited.program), [comes], now=LATER)
    Contact.objects.filter(pk=tagged.pk).update(tags=["hot"])
    entering.follow([comes.pk, tagged.pk], LATER)  # only version 2 lets the second one in
    assert set(Enrolment.objects.filter(version__number=2).values_list("contact", flat=True)) >= {comes.pk, tagged.pk}
    take_back(publication)
    assert work(publication, 100)
    assert Enrolment.objects.get(contact=comes).version.number == 1
    assert not Enrolment.objects.filter(contact=tagged).exists()
    assert ProgramVersion.objects.get(number=2).state == "draft"


def test_the_first_publication_of_a_program_is_taken_back_too() -> None:
    segment = make_segment()
    put_in(segment, make_people(3))
    program = make_program(wait(1), segment=segment, live=False)
    before = rows()
    publish(program)
    publication = Publication.objects.get()
    take_back(publication)
    work_publications(NOW)
    assert rows() == before
    assert turn.take_in(NOW) == 0
    actions.discard_draft(program.versions.get(), actor=None, now=NOW)
    assert not Program.objects.exists()


def done(edited: Edited) -> Publication:
    publication = edited.ask()
    work_publications(LATER)
    publication.refresh_from_db()
    assert publication.state == "done"
    return publication


def reaches_the_goal(edited: Edited) -> None:
    Enrolment.objects.filter(contact=edited.people[0]).update(
        state="finished", step="", next_step_at=None, ended_at=LATER, ended_why="goal", goal_at=LATER
    )


def goes_on_after_a_pause(edited: Edited) -> None:
    actions.pause(edited.program, actor=None, now=LATER)
    actions.resume(edited.program, waits="shift", actor=None, now=LATER + DAY)


def is_published_again(edited: Edited) -> None:
    actions.start_draft(edited.program, actor=None, now=LATER)
    publish(edited.program, intake="new", now=LATER + DAY)


def comes_in(edited: Edited) -> None:
    put_in(segment_of(edited.program), make_people(1), now=LATER + DAY)
    turn.take_in(LATER + DAY)


def leaves_elsewhere(edited: Edited) -> None:
    entering.follow([person.pk for person in edited.people], LATER)


EFFECTS: list[tuple[str, Callable[[Edited], Any], str]] = [
    ("step", lambda edited: walk(NOW + 6 * DAY), "01/07/2026 somebody did the step “Wait 5 days”"),
    ("goal", reaches_the_goal, "somebody reached the goal"),
    ("left", lambda edited: actions.release_person(Enrolment.objects.get(contact=edited.people[0]), actor=None, now=LATER), "somebody left the program"),
    ("entered", comes_in, "somebody entered"),
    ("failed", lambda edited: queries.park(Enrolment.objects.get(contact=edited.people[0]).pk, problem="Boom"), "a step failed for somebody"),
    ("waits", goes_on_after_a_pause, "waits were changed"),
    ("republished", is_published_again, "another version was published"),
    ("stopped", lambda edited: actions.stop(edited.program, actor=None, now=LATER), ""),
    ("elsewhere", leaves_elsewhere, "entered another program"),
]  # fmt: skip


@pytest.mark.parametrize(("effect", "happens", "words"), EFFECTS)
def test_once_somebody_was_affected_it_stays_and_says_why(
    effect: str, happens: Callable[[Edited], Any], words: str
) -> None:
    edited = build()
    if effect == "elsewhere":
        other = make_program(wait(1), live=False, intake="new")
        trigger = {"id": "t1", "kind": "program", "program": edited.program.slug, "when": "left"}
        draft = other.versions.get()
        actions.set_triggers(draft, edit_number=draft.edit_number, triggers=[trigger], now=NOW)
        publish(other, intake="new", now=NOW)
    publication = done(edited)
    happens(edited)
    with pytest.raises(publishing.CannotTakeBack):
        take_back(publication, now=LATER + DAY)
    stand = rows()["Enrolment"]
    work_publications(LATER + 2 * DAY)
    publication.refresh_from_db()
    assert publication.effect in (effect, "left") if effect == "stopped" else publication.effect == effect
    assert publication.is_cleared
    assert not PublicationMove.objects.filter(publication=publication).exists()
    assert not Trigger.objects.filter(version=publication.past).exists()
    with pytest.raises(publishing.CannotTakeBack, match="cannot be taken back any more"):
        take_back(publication, now=LATER + 2 * DAY)
    assert words.split(" somebody")[-1] in publishing.why_not(publication)
    assert rows()["Enrolment"] == stand


def test_a_draft_that_was_begun_meanwhile_stays_the_draft() -> None:
    edited = build()
    publication = done(edited)
    third = actions.start_draft(edited.program, actor=None, now=LATER)
    take_back(publication)
    work_publications(LATER)
    assert list(ProgramVersion.objects.order_by("number").values_list("number", "state")) == [
        (1, "live"),
        (2, "past"),
        (third.number, "draft"),
    ]
    assert not Enrolment.objects.filter(version__number=2).exists()


def test_a_version_that_would_not_start_any_more_does_not_come_back() -> None:
    edited = build()
    publication = done(edited)
    past = ProgramVersion.objects.get(number=1)
    past.tree = {"steps": [step("send_email", "m", template="gone")]}
    past.save()
    with pytest.raises(publishing.CannotTakeBack, match="Version 1 cannot be live again"):
        take_back(publication)
    assert ProgramVersion.objects.get(number=2).state == "live"


# --- Two at once -----------------------------------------------------------------------------------------------------------------


def at_once(*verbs: Callable[[], Any]) -> list[str]:
    """What came of each, all begun together: "done" or the refusal."""
    barrier, found = Barrier(len(verbs)), [""] * len(verbs)

    def one(place: int) -> None:
        try:
            barrier.wait(timeout=60)
            verbs[place]()
            found[place] = "done"
        except actions.NurtureRefused as error:
            found[place] = str(error)
        finally:
            connection.close()

    threads = [Thread(target=one, args=(place,)) for place in range(len(verbs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return found


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins_and_the_other_is_told() -> None:
    edited = build()
    won = at_once(edited.ask, edited.ask)
    assert sorted(won) == ["A publication of this program is under way; wait until it is done.", "done"]
    publication = Publication.objects.get(number=2)
    work_publications(LATER)
    publication.refresh_from_db()
    won = at_once(lambda: take_back(publication), lambda: take_back(publication))
    assert sorted(won) == ["It is being taken back already.", "done"]
    # two workers at once: whoever comes second finds that somebody is at it
    at_once(lambda: work_publications(LATER), lambda: work_publications(LATER))
    work_publications(LATER)
    publication.refresh_from_db()
    assert publication.state == "taken_back"
    assert not Enrolment.objects.filter(version__number=2).exists()


# --- Pages -----------------------------------------------------------------------------------------------------------------------


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_pages_of_a_publication() -> None:
    edited = build()
    publication, client = edited.ask(), signed_in(MARKETER)
    detail = reverse("nurture:program-detail", args=[edited.program.slug])
    state = reverse("nurture:publication-state", args=[edited.program.slug])
    back = reverse("nurture:publication-take-back", args=[edited.program.slug, publication.pk])
    work(publication, 7)
    shown = client.get(state + "?under_way=1")
    assert "Version 2 is being published" in shown.content.decode()
    assert "of 10 people are where the sheet sends them" in shown.content.decode()
    assert "HX-Refresh" not in shown
    assert "Version 2 is being published" in client.get(detail).content.decode()
    sheet = reverse("nurture:program-publish", args=[edited.program.slug])
    assert "under way; wait until it is done" in client.post(sheet, {"intake": "new"}, follow=True).content.decode()
    work(publication, 100)
    assert "There is no draft any more" in client.post(sheet, {"intake": "new"}, follow=True).content.decode()
    assert client.get(state + "?under_way=1")["HX-Refresh"] == "true"
    page = client.get(detail).content.decode()
    assert "Version 2 is live." in page
    assert back in page
    sales = signed_in(SALES)
    assert (sales.get(detail).status_code, sales.get(back).status_code, sales.post(back).status_code) == (200, 403, 403)
    assert back not in sales.get(detail).content.decode()
    assert client.get(back).status_code == 200
    assert client.post(back, {"reason": ""}).status_code == 422
    assert client.post(back, {"reason": "Not yet agreed"}).status_code == 302
    assert "Version 2 is taken back" in client.get(detail).content.decode()
    work_publications(timezone.now())
    publication.refresh_from_db()
    assert publication.state == "taken_back"
    history = client.get(reverse("nurture:publication-list", args=[edited.program.slug])).content.decode()
    assert "Shorter waits" in history
    assert "Not yet agreed" in history
    again = client.post(back, {"reason": "Twice"}, follow=True)
    assert "It was taken back already." in again.content.decode()
