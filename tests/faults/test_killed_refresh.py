"""Refreshes killed or cut off in the middle: the next beat leaves what a look from scratch finds, and no mark is lost."""

from __future__ import annotations

import importlib
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Count

from leads.actions import NewActivity, add_tag, move_stages, record_activities
from leads.models import Contact, Mark
from leads.queries import mark
from segments import queries, turn
from segments.actions import add_to_segment, save_segment
from segments.conditions import check, match_ids, moment
from segments.models import Membership, Persona, PersonaAssignment, Segment, SegmentOverride
from tests.database import wait_until_alone
from tests.makers import NOW, make_segment

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = int(os.environ.get("RIPEN_KILLS", "3"))
PEOPLE = 600
PRICING = [{"field": "url", "op": "contains", "value": "/pricing"}]
RULES: list[dict[str, Any]] = [
    {"field": "contact.country", "op": "in", "value": ["DE", "AT"]},
    {"did": "page_view", "where": PRICING, "count": {"op": "at_least", "value": 2}},
    {"did": "page_view", "count": {"op": "exactly", "value": 0}},
    {"any": [{"in_segment": "s0"}, {"in_segment": "s1"}]},
    {"all": [{"in_segment": "s3"}, {"not": {"in_segment": "s2"}}, {"not": {"in_persona": "boss"}}]},
    {"field": "contact.tags", "op": "includes_any", "value": ["hot"]},
]
IN_FULL = [
    "segments.turn:_ask_for_everybody:after:1",
    "segments.queries:stage_members:after:2",
    "segments.queries:write_members:after:1",
    "segments.queries:write_members:after:5",
    "segments.nodes/SegmentNode:_looked_at:before:2",
    "segments.nodes/SegmentNode:_looked_at:after:3",
    "segments.queries:write_personas:after:1",
    "segments.queries:claim_marks:after:2",
]
IN_A_BATCH = [
    "segments.queries:claim_marks:after:1",
    "segments.queries:write_members:before:2",
    "segments.queries:write_members:after:7",
    "segments.queries:write_personas:after:1",
    "segments.turn:_batch:after:2",
]
LOST = [
    (True, "segments.queries:stage_members:before:3"),
    (True, "segments.queries:write_members:after:4"),
    (False, "segments.queries:claim_marks:after:2"),
    (False, "segments.queries:write_members:before:3"),
]


@pytest.fixture
def segments() -> list[Segment]:
    """People with activities; segments that read facts, each other and a persona, none looked at yet."""
    Contact.objects.bulk_create(
        [
            Contact(external_id=f"c{n}", title="CFO" if n % 5 else "Clerk", country=["DE", "FR", "AT"][n % 3], stage="inquiry")
            for n in range(PEOPLE)
        ]
    )  # fmt: skip
    people = list(Contact.objects.order_by("pk").values_list("pk", flat=True))
    record_activities(
        [
            NewActivity(pk, "page_view", NOW - timedelta(days=n % 9), url=f"https://x.test/{'pricing' if n % 4 else 'blog'}")
            for n, pk in enumerate(people[::2] * 2)
        ],
        now=NOW,
    )  # fmt: skip
    Persona.objects.create(
        slug="boss",
        name="Boss",
        position=1,
        status="agreed",
        stale_since=NOW,
        conditions={"field": "contact.title", "op": "is", "value": "cfo"},
    )
    return [make_segment(rule, name=f"s{place}", slug=f"s{place}") for place, rule in enumerate(RULES)]


def change(chance: random.Random, people: Sequence[int], now: datetime) -> None:
    """What happens while nobody looks: facts through the product's verbs."""
    some = chance.sample(people, 300)
    record_activities(
        [NewActivity(pk, "page_view", now, url="https://x.test/pricing") for pk in some[:120] * 2], now=now
    )
    add_tag(some[60:180], tag="hot", now=now)
    move_stages(some[150:220], to="mql", cause="rule:x", reason="", now=now)
    Contact.objects.filter(pk__in=some[200:]).update(country="DE", title="Clerk")
    mark(some[200:], Mark.Facet.CONTACT)


def beats(now: datetime) -> None:
    """As the next beats do; the lock of whoever died falls with its connection."""
    until = time.monotonic() + 120
    while (report := turn.turn(now)).busy or report.more or queries.marks_wait():
        assert report.problems == {}
        assert time.monotonic() < until, "the engine is stuck"
        time.sleep(0.02 if report.busy else 0)


def assert_as_from_scratch(now: datetime) -> None:
    assert not Mark.objects.exists()
    for segment in Segment.objects.all():
        wanted = set(match_ids(check(segment.conditions), moment(now)))
        for contact_id, verdict in SegmentOverride.objects.filter(segment=segment).values_list("contact_id", "verdict"):
            (wanted.add if verdict == "added" else wanted.discard)(contact_id)
        stored = list(Membership.objects.filter(segment=segment, until=None).values_list("contact_id", flat=True))
        assert (len(stored), set(stored)) == (len(wanted), wanted), segment.slug
        assert (segment.member_count, segment.stale_since, segment.problem) == (len(stored), None, "")
    bosses = set(PersonaAssignment.objects.filter(until=None).values_list("contact_id", flat=True))
    assert bosses == set(match_ids(check({"in_persona": "boss"}), moment(now)))
    twice = Membership.objects.values("segment", "contact", "since").annotate(n=Count("id")).filter(n__gt=1)
    assert not twice.exists()
    assert queries.wrong_counts() == []
    assert turn.turn(now, full=True).changes == 0


def act_at(point: str, act: Callable[[], object]) -> None:
    """Replace a function by one that also acts before or after its nth call: module:function or module/class:function."""
    path, name, when, number = point.split(":")
    owner: Any = importlib.import_module(path.partition("/")[0])
    if "/" in path:
        owner = getattr(owner, path.partition("/")[2])
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def acting(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if (calls, when) == (int(number), "before"):
            act()
        result = real(*args, **kwargs)
        if (calls, when) == (int(number), "after"):
            act()
        return result

    setattr(owner, name, acting)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def lose_session() -> None:
    """As an administrator or a restart would, from another session."""
    backend = connection.connection.info.backend_pid
    rival = connection.copy()
    with rival.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [backend])
        assert cursor.fetchone() == (True,)
    rival.close()


def in_another_process(work: Callable[[], object]) -> int:
    """The id of a process of its own, with a session of its own, that does the work in small batches and chunks."""
    connection.close()
    child = os.fork()
    return child or _work(work)


def _work(work: Callable[[], object]) -> NoReturn:
    try:
        queries.CHUNK_PAGES, turn.BATCH = 1, 120
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def end_of(child: int) -> int:
    """0 done, 1 failed, −9 killed."""
    _pid, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at(point: str, now: datetime, *, full: bool) -> int:
    def work() -> None:
        act_at(point, die)
        turn.turn(now, full=full)

    return end_of(in_another_process(work))


@pytest.mark.parametrize("point", IN_FULL)
def test_a_full_look_killed_at(point: str, segments: list[Segment]) -> None:
    assert killed_at(point, NOW, full=True) == -signal.SIGKILL
    wait_until_alone()
    assert queries.wrong_counts() == []  # at no moment do counts and members differ
    later = NOW + timedelta(minutes=1)
    beats(later)
    assert_as_from_scratch(later)


@pytest.mark.parametrize("point", IN_A_BATCH)
def test_a_batch_killed_at(point: str, segments: list[Segment]) -> None:
    turn.turn(NOW)
    later = NOW + timedelta(minutes=1)
    change(random.Random(point), list(Contact.objects.order_by("pk").values_list("pk", flat=True)), later)
    assert killed_at(point, later, full=False) == -signal.SIGKILL
    wait_until_alone()
    assert queries.wrong_counts() == []
    beats(later)
    assert_as_from_scratch(later)


@pytest.mark.parametrize(("full", "point"), LOST)
def test_a_session_ended_in_the_middle(full: bool, point: str, segments: list[Segment]) -> None:
    """The process goes on: its next beat has a new session and repairs what is left."""
    if not full:
        turn.turn(NOW)
        change(random.Random(point), list(Contact.objects.order_by("pk").values_list("pk", flat=True)), NOW)
    later = NOW + timedelta(minutes=1)

    def work() -> None:
        act_at(point, lose_session)
        with pytest.raises(DatabaseError):
            turn.turn(later, full=full)
        close_old_connections()  # as before each task
        beats(later)

    assert end_of(in_another_process(work)) == 0
    assert_as_from_scratch(later)


def test_killed_at_random_moments_while_facts_change(segments: list[Segment]) -> None:
    """RIPEN_KILLS sets how often."""
    chance = random.Random(KILLS)
    people = list(Contact.objects.order_by("pk").values_list("pk", flat=True))
    now = NOW
    for number in range(KILLS):
        now += timedelta(minutes=1)
        full = chance.random() < 0.5

        def work(now: datetime = now, full: bool = full) -> None:
            while True:
                turn.turn(now, full=full)

        child = in_another_process(work)
        until = time.monotonic() + 120
        while not turn_is_held():
            assert time.monotonic() < until, "the other process never began"
            time.sleep(0.002)
        change(chance, people, now)
        if number % 2:
            add_to_segment(segments[0], contact_ids=people[number::97], cause="by_hand", actor=None, now=now)
        else:
            rule = {"any": [{"in_segment": f"s{number % 3}"}]}
            save_segment(segments[3], name="s3", conditions=rule, actor=None, now=now)
        time.sleep(chance.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        assert end_of(child) == -signal.SIGKILL
        wait_until_alone()
    now += timedelta(minutes=20)
    beats(now)
    assert_as_from_scratch(now)


def turn_is_held() -> bool:
    """Whether another session holds the engine's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted)", [turn.LOCK]
        )
        return bool(cursor.fetchone()[0])
