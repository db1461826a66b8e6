"""Workers killed while they publish, and while they take it back: everybody ends as the sheet said, or as they stood before; nobody twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from leads.models import AuditEntry
from nurture import queries
from nurture.models import Enrolment, Program, Publication, PublicationMove
from nurture.publication import publishing
from tests.database import wait_until_alone
from tests.faults.running import run, start
from tests.makers import NOW
from tests.nurture.edited import LATER, Edited, build, rows
from tests.nurture.makers import work_publications

pytestmark = pytest.mark.django_db(transaction=True)

OVER = [
    "nurture.entering:begin_next:after:1",
    "nurture.entering:take_over:after:1",
    "nurture.publication.queries_publishing:take_page:after:3",
    "nurture.publication.queries_moving:put_at:after:2",
    "nurture.publication.queries_moving:go_over:after:1",
    "nurture.queries_around:end_walks:after:1",
    "nurture.publication.publishing_job:_finish:after:1",
]
BACK = [
    "nurture.publication.queries_publishing:give_back:after:1",
    "nurture.publication.queries_publishing:give_back:after:3",
    "nurture.publication.publishing_job:_took_back:after:1",
]


def finish() -> Publication:
    """As the next beats do; the killed worker's locks fall with its connection."""
    wait_until_alone()
    assert Program.objects.get().publishing_since is not None  # nobody walks until somebody has gone on with it
    work_publications(LATER)
    assert Program.objects.get().publishing_since is None
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
    return Publication.objects.latest("pk")


def assert_as_the_sheet_said(publication: Publication) -> None:
    assert (publication.state, publication.people_done) == ("done", 10)
    assert publication.moved == {"retime": 3, "stay": 3, "release": 3, "to": 1}
    day = timedelta(days=1)
    stand = Enrolment.objects.values_list("version__number", "state", "step", "next_step_at")
    assert Counter(stand) == {
        (2, "active", "a", NOW + 5 * day): 3,
        (2, "active", "d", NOW + 20 * day): 3,
        (1, "left", "", None): 3,
        (2, "active", "new", LATER + 7 * day): 1,
    }
    assert PublicationMove.objects.count() == 10
    assert AuditEntry.objects.filter(verb="published", detail__version=2).count() == 1


@pytest.mark.parametrize("point", OVER)
def test_killed_while_people_go_over(point: str) -> None:
    edited = build()
    edited.ask()
    assert run("publish", now=LATER, kill=point) == -9
    assert_as_the_sheet_said(finish())


@pytest.mark.parametrize("point", BACK)
def test_killed_while_it_is_taken_back(point: str) -> None:
    edited = build()
    before = rows()
    publication = edited.ask()
    work_publications(LATER)
    taken_back(publication)
    assert run("publish", now=LATER, kill=point) == -9
    assert finish().state == "taken_back"
    assert rows() == before
    assert AuditEntry.objects.filter(verb="took back the publication of").count() == 1


def taken_back(publication: Publication) -> None:
    publishing.take_back(publication, reason="Wrong", actor=None, now=LATER)


def test_two_workers_at_once_move_everybody_once() -> None:
    edited: Edited = build()
    edited.ask()
    workers = [start("publish", now=LATER) for _each in range(2)]
    for worker in workers:
        _out, said = worker.communicate(timeout=300)
        assert worker.returncode == 0, said
    wait_until_alone()
    work_publications(LATER)
    assert_as_the_sheet_said(Publication.objects.latest("pk"))
