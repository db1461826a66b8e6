"""The comparison behind a split step: who went which way, for whom it worked in time, and which way won.

A trial is one comparison of the same ways with the same weights: when a new version changes them, a new trial begins, and when it does
not, the trial goes on over both. Somebody counts once their days are over, so that early answers do not favour the quick way.
The rule looks when the smallest way has the wanted number of people, and at twice, four times … as many, and a way wins when it beats
every other one with 99 % certainty: several looks at one comparison must not find a winner by luck.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from leads.actions import audit
from nurture import queries_splits as queries
from nurture.lift import compare, wilson
from nurture.models import Enrolment, ProgramVersion, SplitPass, SplitTrial
from nurture.queries_around import Arm
from segments import conditions

if TYPE_CHECKING:
    from nurture.kinds.base import Problem, Step, Walker

DAYS = 7
AT_LEAST = 200
SURE = 2.575829  # 99 %
LOOK_EVERY = timedelta(minutes=10)


def way_of(program_id: int, step_id: str, contact_id: int, weights: Mapping[str, int]) -> str:
    """The same answer each time: by a hash of program, step and contact, spread by the weights."""
    digest = hashlib.sha256(f"split:{program_id}:{step_id}:{contact_id}".encode()).digest()
    place = int.from_bytes(digest[:8]) % sum(weights.values())
    for way in sorted(weights):
        place -= weights[way]
        if place < 0:
            return way
    raise AssertionError("the weights fill the whole")


def fingerprint(step: Step) -> str:
    """Of weights and ways: what is compared. The rule that looks for a winner may change without a new comparison."""
    weights = step.values.get("weights") or {}
    ways = {way: [_told(child) for child in children] for way, children in step.ways.items()}
    text = json.dumps([weights, ways], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _told(step: Step) -> list[Any]:
    ways = {way: [_told(child) for child in children] for way, children in step.ways.items()}
    return [step.id, step.kind, dict(step.values), ways]


# --- Walking ---------------------------------------------------------------------------------------------------------------


def trial_of(program_id: int, step: Step, *, now: datetime) -> SplitTrial:
    """The comparison that this step belongs to, made when it is the first time. One statement, two then."""
    mark = fingerprint(step)
    found = SplitTrial.objects.filter(program_id=program_id, step=step.id, fingerprint=mark).first()
    if found is None:
        found, _made = SplitTrial.objects.get_or_create(
            program_id=program_id,
            step=step.id,
            fingerprint=mark,
            defaults={"began_at": now, "next_look_at": now + LOOK_EVERY},
        )
    return found


def begin(
    trial: SplitTrial,
    step: Step,
    around: Mapping[str, Any],
    outcomes: Mapping[str, Sequence[Walker]],
    *,
    now: datetime,
) -> None:
    """Watch whoever goes a way now, except those for whom the goal holds already: they could show nothing. Two statements at most."""
    rule = goal_of(step, around)
    if rule is None:
        return
    contacts = sorted({walker.contact_id for walkers in outcomes.values() for walker in walkers})
    had = _met(rule, contacts, now)
    fresh = [
        (walker.enrolment_id, way)
        for way, walkers in outcomes.items()
        for walker in walkers
        if walker.contact_id not in had
    ]
    queries.watch(trial.pk, fresh, now=now, until=now + timedelta(days=step.values["winner"].get("days", DAYS)))


def goal_of(step: Step, around: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What makes a way work: conditions of its own, else the program's goal; None where nothing is looked for."""
    winner = step.values.get("winner")
    if winner is None:
        return None
    return winner.get("conditions") or (around.get("goal") or {}).get("conditions")


def _met(rule: Mapping[str, Any], contacts: Sequence[int], now: datetime) -> set[int]:
    if not contacts:
        return set()
    return set(conditions.match_ids(conditions.check(rule), conditions.moment(now), contacts=contacts, stored=True))


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """A follower of the turn: for which changed contacts their way worked; how many. One statement where nobody is watched."""
    watched = queries.watched_of(contact_ids, now=now)
    if not watched:
        return 0
    versions = ProgramVersion.objects.in_bulk({row.version_id for row in watched})
    groups: defaultdict[tuple[int, str], list[queries.Passed]] = defaultdict(list)
    for row in watched:
        groups[row.version_id, row.step].append(row)
    reached: list[int] = []
    for (version_id, step_id), rows in sorted(groups.items()):
        step = _step_of(versions[version_id], step_id)
        rule = goal_of(step, versions[version_id].around) if step else None
        if rule is not None:
            met = _met(rule, sorted({row.contact_id for row in rows}), now)
            reached += [row.id for row in rows if row.contact_id in met]
    return queries.set_reached(reached, now=now)


def _step_of(version: ProgramVersion, step_id: str) -> Step | None:
    from nurture import tree

    return next((step for step in tree.check(version.tree).walk() if step.id == step_id), None)


# --- Winning ----------------------------------------------------------------------------------------------------------------


def decide(now: datetime) -> int:
    """Look at every comparison that is due; how many found their winner. One statement when none is due.

    Each is claimed by a conditional update, so two workers never look at the same one.
    """
    won = 0
    for trial in SplitTrial.objects.filter(winner="", next_look_at__lte=now).order_by("next_look_at", "pk"):
        mine = SplitTrial.objects.filter(pk=trial.pk, winner="", next_look_at=trial.next_look_at)
        if mine.update(next_look_at=now + LOOK_EVERY):
            won += _look(trial, now)
    return won


def _look(trial: SplitTrial, now: datetime) -> bool:
    version = trial.program.versions.filter(state=ProgramVersion.State.LIVE).first()
    step = _step_of(version, trial.step) if version else None
    winner = step.values.get("winner") if step else None
    if step is None or winner is None or fingerprint(step) != trial.fingerprint:
        return False
    arms = ripe_arms(trial, step, now)
    sample = min(arm.people for arm in arms.values())
    if not looks_now(sample, at_least=winner.get("at_least", AT_LEAST), looked_at=trial.looked_at):
        return False
    best = best_of(arms)
    SplitTrial.objects.filter(pk=trial.pk).update(looked_at=sample)
    return best is not None and declare(trial, way=best, actor=None, now=now)


def looks_now(sample: int, *, at_least: int, looked_at: int) -> bool:
    """Whether the smallest way has passed the wanted number, or the next doubling of it, since the last look."""
    threshold = at_least
    while threshold <= looked_at:
        threshold *= 2
    return sample >= threshold


def best_of(arms: Mapping[str, Arm]) -> str | None:
    """The way that beats every other one with 99 % certainty; None while there is none."""
    ranked = sorted(arms, key=lambda way: (-_share(arms[way]), way))
    for other in ranked[1:]:
        found = compare(arms[ranked[0]], arms[other], z=SURE)
        if found is None or found.low <= 0:
            return None
    return ranked[0]


def _share(arm: Arm) -> float:
    return arm.reached / arm.people if arm.people else 0.0


def ripe_arms(trial: SplitTrial, step: Step, now: datetime) -> dict[str, Arm]:
    """Way -> people whose days are over, and for how many of them it worked. One statement."""
    counts = queries.counts(trial.pk, now=now)
    return {way: counts[way].ripe if way in counts else Arm(0, 0) for way in step.ways}


def declare(trial: SplitTrial, *, way: str, actor: User | None, now: datetime) -> bool:
    """Everybody who comes from now on goes this way; False when one had won before. An empty actor: the rule decided."""
    with transaction.atomic():
        open_trial = SplitTrial.objects.filter(pk=trial.pk, winner="")
        if not open_trial.update(winner=way, decided_at=now, decided_by=actor):
            return False
        audit(actor, "declared the winner of", trial.program, {"step": trial.step, "way": way}, now)
    return True


def reopen(trial: SplitTrial, *, actor: User | None, now: datetime) -> bool:
    """Compare again: people are split as before; False when nothing had won."""
    with transaction.atomic():
        closed = SplitTrial.objects.filter(pk=trial.pk).exclude(winner="")
        if not closed.update(winner="", decided_at=None, decided_by=None, next_look_at=now + LOOK_EVERY):
            return False
        audit(actor, "compares again in", trial.program, {"step": trial.step}, now)
    return True


# --- Showing ----------------------------------------------------------------------------------------------------------------

LISTS = ("watched", "ripe", "worked")


@dataclass(frozen=True)
class Row:
    """One way on the page of the step. Shares in percent, None while nobody's days are over."""

    way: str
    label: str
    passed: int
    watched: int
    ripe: int
    worked: int
    share: float | None
    low: float | None
    high: float | None
    has_won: bool


def table(version: ProgramVersion, step: Step, labels: Mapping[str, object], now: datetime) -> dict[str, Any]:
    """The comparison of a published step, for its page. Three statements."""
    trial = _trial(version, step)
    counts = queries.counts(trial.pk, now=now) if trial else {}
    passed = queries.passed(version.pk, step.id)
    return {
        "trial": trial,
        "rows": [_row(way, str(label), passed.get(way, 0), counts.get(way), trial) for way, label in labels.items()],
        "looks": step.values.get("winner"),
        "at_least": (step.values.get("winner") or {}).get("at_least", AT_LEAST),
    }


def _row(way: str, label: str, passed: int, count: queries.Count | None, trial: SplitTrial | None) -> Row:
    count = count or queries.Count()
    has_won = trial is not None and trial.winner == way
    ripe, worked = count.ripe.people, count.ripe.reached
    if not ripe:
        return Row(way, label, passed, count.watched, ripe, worked, None, None, None, has_won)
    low, high = wilson(count.ripe)
    return Row(way, label, passed, count.watched, ripe, worked, 100 * worked / ripe, 100 * low, 100 * high, has_won)


def _trial(version: ProgramVersion, step: Step) -> SplitTrial | None:
    trials = SplitTrial.objects.filter(program_id=version.program_id, step=step.id).select_related("decided_by")
    return trials.filter(fingerprint=fingerprint(step)).first()


def people(version: ProgramVersion, step_id: str, which: str, way: str, *, now: datetime) -> QuerySet[Enrolment]:
    """Walks behind a number of the table."""
    step = _step_of(version, step_id)
    trial = _trial(version, step) if step else None
    passes = SplitPass.objects.filter(trial=trial, way=way) if trial else SplitPass.objects.none()
    if which != "watched":
        passes = passes.filter(until__lte=now)
    if which == "worked":
        passes = passes.filter(reached_at__isnull=False)
    return Enrolment.objects.filter(pk__in=passes.values("enrolment_id"))


def choose(version: ProgramVersion, step_id: str, *, way: str, actor: User, now: datetime) -> bool:
    """A person declares the winner of a published split (an empty `way`: compare again); False when that changes nothing.

    Raises LookupError for a step or way that is not there.
    """
    step = _step_of(version, step_id)
    if step is None or (way and way not in step.ways):
        raise LookupError(step_id)
    trial = trial_of(version.program_id, step, now=now)
    if way:
        return declare(trial, way=way, actor=actor, now=now)
    return reopen(trial, actor=actor, now=now)


def winners(program_id: int, steps: Sequence[Step]) -> dict[str, str]:
    """Step -> the way that won, of these split steps. One statement, none without such a step."""
    marks = {step.id: fingerprint(step) for step in steps}
    if not marks:
        return {}
    rows = SplitTrial.objects.filter(program_id=program_id, step__in=marks).exclude(winner="")
    return {row.step: row.winner for row in rows if row.fingerprint == marks[row.step]}


def problems(steps: Sequence[Step], around: Mapping[str, Any]) -> list[Problem]:
    """Splits whose winner the program's goal should find, in a program without one."""
    from nurture.kinds.base import Problem

    return [
        Problem("around.goal", _("The split looks for its winner by the program's goal, and there is none."), step.id)
        for step in steps
        if step.kind == "split" and step.values.get("winner") is not None and goal_of(step, around) is None
    ]


def renamed(program_id: int, before: Sequence[Step], after: Sequence[Step]) -> None:
    """A new slug in the ways changes their words, not what is compared: the comparison goes on."""
    fresh = {step.id: step for step in after}
    for step in before:
        if step.kind == "split" and step.id in fresh and fingerprint(step) != fingerprint(fresh[step.id]):
            old = SplitTrial.objects.filter(program_id=program_id, step=step.id, fingerprint=fingerprint(step))
            old.update(fingerprint=fingerprint(fresh[step.id]))
