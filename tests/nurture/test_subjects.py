"""“In program”: the statement, the verdict and the words agree, also for a past moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nurture import actions
from segments import conditions
from segments.conditions import Moment, check, explain, match_ids
from tests.makers import NOW, make_contact
from tests.nurture.makers import make_program, make_walk, step, wait, walk

pytestmark = pytest.mark.django_db
UTC = ZoneInfo("UTC")


@pytest.mark.parametrize("state", [None, "active", "finished", "left"])
@pytest.mark.parametrize("negated", [False, True])
def test_statement_and_verdict_agree(state: str | None, negated: bool) -> None:
    program, people = make_walk(wait(1, "days", "w"), step("end", "e"), people=3)
    walk()
    actions.release_person(people[0].enrolments.get(), actor=None, now=NOW + timedelta(hours=2))
    walk(NOW + timedelta(days=1))
    outsider = make_contact()
    leaf = {"in_program": program.slug} | ({"state": state} if state else {})
    tree = check({"not": leaf} if negated else leaf)
    moments: list[datetime] = [NOW - timedelta(days=1), NOW, NOW + timedelta(hours=3), NOW + timedelta(days=2)]
    for at in moments:
        moment = Moment(at, UTC)
        found = set(match_ids(tree, moment))
        for person in (*people, outsider):
            assert explain(tree, person.pk, moment).holds == (person.pk in found)


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(conditions.BadConditions):
        check({"in_program": "nothing"})
    program = make_program(wait(1), live=False)
    assert f"“{program.name}”" in conditions.sentence(check({"in_program": program.slug}))
