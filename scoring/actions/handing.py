"""Handing leads to sales: who enters the queue, with which card, whose they are, and until when they should be answered."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from leads.actions import move_stages
from scoring import business_hours, cards, notices, queries, routing
from scoring.desks import Calendars, calendars
from scoring.models import HandOff, HandOffEvent, Notice, ScoreModel, ScoreVersion
from scoring.queries import Candidate
from segments.conditions import BadConditions, Sql, check, match_ids, matching, moment

AT_ONCE = 500  # cards built together: some 4 kB each

log = logging.getLogger(__name__)


def hand_over_ripe(contact_ids: Sequence[int], now: datetime) -> int:
    """The turn's follower: those of the contacts who stand over the line of a model and were not handed over for the same reasons."""
    models = ScoreModel.objects.published().order_by("-is_default", "slug").distinct()
    return sum(hand_over(contact_ids, model=model, cause="threshold", now=now) for model in models)


def hand_over(
    contact_ids: Sequence[int],
    *,
    model: ScoreModel,
    cause: str,
    now: datetime,
    force: bool = False,
    again: bool = False,
) -> int:
    """How many leads entered the queue.

    Handed over are contacts whose total reaches the threshold of the live version, for whom its hand-off condition holds, who
    are still before sales in the life-cycle, have no open hand-off of this model, and whose reasons (the rules met that give
    points) are not all among those of an earlier answered one, unless they fell below the lower line since and rose again.
    `force` waives threshold and condition (a program decided that they are ripe) and takes stage MQL too; `again` waives the
    reasons as well (a person decided). Two statements when nobody is ripe; else about twenty for each 500 leads, and one for
    each routing rule. Locks the contacts it hands over, in order.
    """
    version = _working_version(model)
    if version is None or not contact_ids or not (version.hands_over or force):
        return 0
    handed = 0
    with transaction.atomic():
        ripe = queries.lock_ripe(
            contact_ids,
            model_id=model.pk,
            threshold=None if force else version.threshold,
            stages=(*queries.BEFORE_SALES, "mql") if force else queries.BEFORE_SALES,
        )
        if ripe and not force:
            ripe = _meeting_condition(ripe, version, now)
        if not ripe:
            return 0
        news_since = None
        if version.backlog != ScoreVersion.Backlog.ALL and cause != "backlog" and not force:
            news_since = version.published_at
        candidates = queries.candidates(
            ripe, model_id=model.pk, now=now, again=again, news_since=news_since, lower_line=version.lower_line
        )
        for first in range(0, len(candidates), AT_ONCE):
            handed += _hand_over(candidates[first : first + AT_ONCE], model, version, cause, now)
    return handed


def _working_version(model: ScoreModel) -> ScoreVersion | None:
    return ScoreVersion.objects.filter(
        model=model, state=ScoreVersion.State.LIVE, model__archived_at=None, worked_at__isnull=False
    ).first()


def _meeting_condition(contacts: Sequence[int], version: ScoreVersion, now: datetime) -> list[int]:
    """Those for whom the version's hand-off condition holds. Two statements; nobody when it cannot be read any more."""
    if version.hand_off_conditions is None:
        return list(contacts)
    try:
        tree = check(version.hand_off_conditions)
    except BadConditions as error:
        log.error("hand-off condition cannot be read", extra={"version": version.pk, "why": str(error)})
        return []
    return match_ids(tree, moment(now), contacts=list(contacts), stored=True)


def hand_over_backlog(model: ScoreModel, *, now: datetime) -> int:
    """The day's share of those who stood over the line at the publication, the best first; sets when the next share is due."""
    version = _working_version(model)
    if version is None or version.backlog != ScoreVersion.Backlog.BEST or not version.hands_over:
        if version is not None or model.archived_at is not None:
            ScoreModel.objects.filter(pk=model.pk).update(backlog_next_at=None)
        return 0
    share = version.backlog_per_day or 1
    best = queries.best_of_backlog(
        model.pk, threshold=version.threshold, now=now, limit=share, holds=_condition_over_everybody(version, now)
    )
    handed = hand_over(best, model=model, cause="backlog", now=now)
    next_at = business_hours.opening(now, calendars().default) if len(best) == share else None
    ScoreModel.objects.filter(pk=model.pk).update(backlog_next_at=next_at)
    return handed


def _condition_over_everybody(version: ScoreVersion, now: datetime) -> Sql | None:
    if version.hand_off_conditions is None:
        return None
    return matching(check(version.hand_off_conditions), moment(now), stored=True)


def _hand_over(
    candidates: Sequence[Candidate], model: ScoreModel, version: ScoreVersion, cause: str, now: datetime
) -> int:
    ids = [candidate.contact_id for candidate in candidates]
    built = cards.build(candidates, model=model, version=version, now=now)
    queries.lock_routing()
    routes = routing.route([(one.contact_id, one.owner_id) for one in candidates], model=model, now=now)
    hours = calendars(route.owner_id for route in routes.values())
    rows = HandOff.objects.bulk_create(
        [
            HandOff(
                contact_id=candidate.contact_id,
                model=model,
                version=version,
                handed_over_at=now,
                cause="returned" if candidate.is_return and cause == "threshold" else cause,
                owner_id=routes[candidate.contact_id].owner_id,
                routing_rule_id=routes[candidate.contact_id].rule_id,
                total=candidate.total,
                grade=candidate.grade,
                card=built[candidate.contact_id],
                rule_keys=candidate.rule_keys,
                reasons_key=reasons_key(candidate.rule_keys),
                **clock(model, routes[candidate.contact_id].owner_id, since=now, hours=hours),
            )
            for candidate in candidates
        ]
    )
    HandOffEvent.objects.bulk_create(
        [
            HandOffEvent(
                hand_off=row,
                at=now,
                kind=HandOffEvent.Kind.HANDED_OVER,
                owner_id=row.owner_id,
                note=routes[row.contact_id].why,
            )
            for row in rows
        ]
    )
    notices.tell(notices.news_of(rows, kind=Notice.Kind.LEAD), now=now)
    move_stages(ids, to="mql", cause="hand_off", reason=_("Handed to sales by %(model)s") % {"model": model}, now=now)
    return len(ids)


def clock(model: ScoreModel, owner_id: int | None, *, since: datetime, hours: Calendars) -> dict[str, datetime | None]:
    """`due_at` and `escalate_at` of a lead handed over at `since`, in the business hours of its owner."""
    calendar = hours.of(owner_id)
    due_at = business_hours.after(since, model.answer_within_hours, calendar)
    escalate = model.escalate_after_hours
    return {
        "due_at": due_at,
        "escalate_at": None if escalate is None else business_hours.after(due_at, escalate, calendar),
    }


def reasons_key(rule_keys: Sequence[UUID]) -> str:
    """One name for one set of rules, whatever their order."""
    return hashlib.sha256("\n".join(sorted(str(key) for key in rule_keys)).encode()).hexdigest()
