"""Several writers at once, and writers that are killed: no point is lost, none is doubled."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from leads import actions as facts
from leads.access import SALES
from leads.actions import NewActivity
from leads.models import Activity, Contact
from scoring import actions, nodes, queries
from scoring.models import HandOff, LedgerRow, Score, ScoreModel, ScoreVersion
from scoring.occurrences import Counting
from scoring.queries import running, writing
from segments.nodes import Clock
from segments.rules import catalogue_stamp
from tests.database import wait_until_alone
from tests.makers import NOW, make_activity, make_company, make_contact, make_user
from tests.scoring.conftest import beat, make_draft, make_model

TOUCHES = int(os.environ.get("RIPEN_LEDGER_TOUCHES", "1000"))

pytestmark = pytest.mark.django_db(transaction=True)


def node_of(model: ScoreModel) -> nodes.ScoreNode:
    version = ScoreVersion.objects.select_related("model").get(model=model, state="live")
    return nodes.node_of(version, catalogue_stamp(), Clock())


def together(works: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_eight_writers_touch_one_contact() -> None:
    """Each changes a fact and scores the contact, beside somebody who scores everybody again and again."""
    contact = make_contact(title="Clerk", company=make_company(employees=500))
    model = make_model()
    titles = ["VP", "Clerk", "VP student", "Student"]

    def writer(seed: int) -> Callable[[], None]:
        def work() -> None:
            chance = random.Random(seed)
            node = node_of(model)
            for number in range(25):
                now = NOW + timedelta(seconds=chance.randrange(10_000), microseconds=seed)
                facts.set_field_for([contact.pk], field="contact.title", value=chance.choice(titles), now=now)
                node.refresh(contacts=[contact.pk], now=now + timedelta(microseconds=number))

        return work

    def full() -> None:
        for number in range(10):
            node_of(model).refresh(contacts=None, now=NOW + timedelta(seconds=number))

    together([*(writer(seed) for seed in range(8)), full])
    node_of(model).refresh(contacts=[contact.pk], now=NOW + timedelta(days=1))
    contact.refresh_from_db()
    expected = 20 + (40 if "VP" in contact.title else 0) - (30 if "tudent" in contact.title else 0)
    assert Score.objects.get(contact=contact, model=model).total == expected
    assert queries.broken_sums() == []
    for key in LedgerRow.objects.filter(contact=contact).values_list("rule_key", flat=True).distinct():
        rows = LedgerRow.objects.filter(contact=contact, rule_key=key).order_by("counts_from", "revision")
        running_sum, seen = Decimal(0), set()
        for row in rows:
            running_sum += row.points
            seen.add(running_sum)
        assert len(seen) <= 2  # a rule's contribution is all of its points or nothing, at every moment


def test_eight_writers_touch_one_contact_a_thousand_times() -> None:
    """Each records activities, late ones among them, and scores the contact every so often: every point is there, once."""
    contact = make_contact()
    draft = make_draft(rules=())
    visits = {"did": "page_view"}
    for name, points, counting in (
        ("Each", "1.25", Counting()),
        ("Capped", "3", Counting(cap=Decimal(30))),
        ("Lapsing", "2", Counting(expires_after_days=1)),
    ):
        actions.save_rule(
            draft,
            group="behaviour",
            name=name,
            conditions=visits,
            points=Decimal(points),
            counting=counting,
            now=NOW,
        )
    actions.publish(draft, reason="Go", now=NOW)
    beat(NOW)
    model = draft.model
    each = TOUCHES // 8

    def writer(seed: int) -> Callable[[], None]:
        def work() -> None:
            chance = random.Random(seed)
            node = node_of(model)
            for number in range(each):
                now = NOW + timedelta(seconds=number)
                facts.record_activities(
                    [NewActivity(contact.pk, "page_view", now - timedelta(seconds=chance.randrange(200_000)))], now=now
                )
                if number % 10 == seed:
                    node.refresh(contacts=[contact.pk], now=now)

        return work

    together([writer(seed) for seed in range(8)])
    end = NOW + timedelta(seconds=each)
    node_of(model).refresh(contacts=[contact.pk], now=end)
    lasting = Activity.objects.filter(contact=contact, occurred_at__gt=end - timedelta(days=1)).count()
    score = Score.objects.get(contact=contact, model=model)
    assert Activity.objects.filter(contact=contact).count() == 8 * each
    assert score.total == Decimal("1.25") * 8 * each + 30 + 2 * lasting
    assert queries.broken_sums() == []
    keys = LedgerRow.objects.filter(contact=contact).values_list("rule_key", "counts_from", "revision")
    assert len(keys) == len(set(keys))


def test_a_run_by_moments_killed_in_a_chunk_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    people = Contact.objects.bulk_create([Contact(external_id=f"c{number}", title="VP") for number in range(300)])
    facts.record_activities([NewActivity(one.pk, "page_view", NOW) for one in people], now=NOW)
    draft = make_draft(rules=())
    actions.save_rule(
        draft,
        group="behaviour",
        name="Visits",
        conditions={"did": "page_view"},
        points=Decimal(5),
        counting=Counting(expires_after_days=3),
        now=NOW,
    )
    actions.publish(draft, reason="Go", now=NOW)
    monkeypatch.setattr(running, "CHUNK_PAGES", 1)
    calls = [0]

    def dies_in_the_second(plan: queries.Plan, *arguments: object, **values: object) -> queries.Written:
        written = writing.write(plan, *arguments, **values)  # type: ignore[arg-type]
        calls[0] += plan.model_id == draft.model_id
        if calls[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    connection.close()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(running, "write", dies_in_the_second)
        try:
            beat(NOW)
        finally:
            os._exit(1)  # not reached: it was killed
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    wait_until_alone()
    assert 0 < LedgerRow.objects.count() < 300
    assert queries.broken_sums() == []
    beat(NOW + timedelta(minutes=1))
    assert LedgerRow.objects.filter(model=draft.model).count() == 300
    assert draft.rules.get().met_count == 300
    beat(NOW + timedelta(days=3))
    assert set(Score.objects.filter(model=draft.model).values_list("total", flat=True)) == {Decimal(0)}
    assert queries.broken_sums() == []


def test_a_run_killed_between_two_chunks_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    Contact.objects.bulk_create([Contact(external_id=f"c{number}", title="VP") for number in range(1_000)])
    draft = make_draft()
    actions.publish(draft, reason="Go", now=NOW)
    monkeypatch.setattr(running, "CHUNK_PAGES", 1)
    calls = [0]

    def dies_in_the_third(plan: queries.Plan, *arguments: object, **values: object) -> queries.Written:
        calls[0] += plan.model_id == draft.model_id
        written = writing.write(plan, *arguments, **values)  # type: ignore[arg-type]
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    connection.close()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(running, "write", dies_in_the_third)
        try:
            beat(NOW)
        finally:
            os._exit(1)  # not reached: it was killed
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    wait_until_alone()
    assert 0 < LedgerRow.objects.count() < 1_000
    assert queries.broken_sums() == []
    beat(NOW + timedelta(minutes=1))
    assert LedgerRow.objects.filter(model=draft.model).count() == 1_000
    assert queries.broken_sums() == []
    assert ScoreVersion.objects.get(pk=draft.pk).rules.get(name="Is a VP").met_count == 1_000


def test_of_two_publishers_one_is_told() -> None:
    draft = make_draft()
    seen = draft.edit_number
    outcomes: list[str] = []

    def publisher() -> None:
        mine = ScoreVersion.objects.get(pk=draft.pk)
        try:
            actions.publish(mine, reason="Me first", now=NOW, edit_number=seen)
            outcomes.append("published")
        except actions.Outdated:
            outcomes.append("told")

    together([publisher, publisher])
    assert sorted(outcomes) == ["published", "told"]


def test_of_eight_people_one_takes_the_lead() -> None:
    contact = make_contact(title="VP", company=make_company(employees=500))
    make_activity(contact, url="/pricing", at=NOW)
    make_model()
    lead = HandOff.objects.get()
    people = [make_user(SALES) for _number in range(8)]
    outcomes: list[str] = []

    def taker(number: int) -> Callable[[], None]:
        def work() -> None:
            try:
                actions.accept_lead(HandOff.objects.get(pk=lead.pk), actor=people[number], now=NOW)
                outcomes.append(people[number].username)
            except actions.AlreadyAnswered:
                outcomes.append("told")

        return work

    together([taker(number) for number in range(8)])
    lead.refresh_from_db()
    assert lead.answered_by is not None
    assert sorted(outcomes) == sorted(["told"] * 7 + [lead.answered_by.username])
    assert Contact.objects.get(pk=contact.pk).owner == lead.owner


def test_two_turns_hand_over_once() -> None:
    contact = make_contact(title="VP", company=make_company(employees=500))
    make_activity(contact, url="/pricing", at=NOW)
    model = make_model(threshold=900)
    ScoreVersion.objects.filter(model=model, state="live").update(threshold=75)

    def hand() -> None:
        actions.hand_over([contact.pk], model=model, cause="threshold", now=NOW)

    together([hand] * 6)
    assert HandOff.objects.filter(contact=contact).count() == 1
