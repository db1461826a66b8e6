"""Making, editing and publishing score models. People edit the draft; only a publication reaches anybody's score."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import Refused, audit
from leads.queries_vocabulary import own_definitions
from leads.text import clean
from scoring import grades, queries
from scoring.caps import checked_caps
from scoring.models import BantFact, Rule, ScoreModel, ScoreVersion
from scoring.occurrences import Counting, check_counting, counting_of, leaf_of, set_counting
from scoring.patterns import PATTERNS
from segments import graph
from segments.conditions import BadConditions, check, reads, to_document

MOST_POINTS = Decimal(10_000)
MOST_RULES = 200
MOST_BANT = 1_000
MOST_PER_DAY = 100_000
CENT = Decimal("0.01")
RESERVED_SLUGS = frozenset(
    {
        "graduation",
        "lifecycle",
        "new",
        "queue",
        "hand-offs",
        "reports",
        "routing",
        "desks",
        "reasons",
        "notices",
        "contacts",
    }
)  # words of our own addresses


class Outdated(Refused):
    """The draft is not the one that the person looked at."""


def create_model(
    name: str, *, now: datetime, actor: User | None = None, slug: str = "", pattern: str = "", is_default: bool = False
) -> ScoreModel:
    """A model with a draft and nothing live; the first one is the default. `pattern` is a key of patterns.PATTERNS."""
    name = clean(name)
    if not name:
        raise Refused(_("A score model needs a name."))
    if pattern and pattern not in PATTERNS:
        raise Refused(_("There is no pattern “%(key)s”.") % {"key": pattern})
    with transaction.atomic():
        model = ScoreModel.objects.create(name=name[:200], slug=_free_slug(slug or name))
        version = ScoreVersion.objects.create(model=model, number=1, edited_at=now)
        if pattern:
            _fill(version, pattern)
        if is_default or not ScoreModel.objects.filter(is_default=True).exists():
            make_default(model, now=now)
        audit(actor, "made", model, {"pattern": pattern} if pattern else {}, now)
    return model


def _free_slug(wanted: str) -> str:
    """Letters, digits, hyphens and underscores; no dot, since rules name `score.<slug>.total`."""
    stem = slugify(wanted)[:90] or "model"
    slug, number = stem, 1
    while slug in RESERVED_SLUGS or ScoreModel.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{stem}-{number}"
    return slug


def _fill(version: ScoreVersion, pattern: str) -> None:
    chosen = PATTERNS[pattern]
    ScoreVersion.objects.filter(pk=version.pk).update(
        threshold=chosen.threshold, caps=checked_caps(chosen.caps), includes_bant=chosen.includes_bant
    )
    rules = []
    for place, chosen_rule in enumerate(chosen.rules, start=1):
        conditions = to_document(check(chosen_rule.conditions, allow_unknown_slugs=True))
        rule = Rule(version=version, group=chosen_rule.group, name=str(chosen_rule.name), conditions=conditions)
        rule.points, rule.position = chosen_rule.points, place
        set_counting(rule, chosen_rule.counting)
        rules.append(rule)
    Rule.objects.bulk_create(rules)


def change_model(
    model: ScoreModel, *, name: str, routing: str, answer_within_hours: int, now: datetime, actor: User | None = None
) -> None:
    """What is not versioned: it changes no score."""
    name = clean(name)
    if not name:
        raise Refused(_("A score model needs a name."))
    if routing not in ScoreModel.Routing.values:
        raise Refused(_("There is no such way of routing."))
    if not 1 <= answer_within_hours <= 1000:
        raise Refused(_("Sales needs at least one and at most 1,000 business hours to answer."))
    with transaction.atomic():
        ScoreModel.objects.filter(pk=model.pk).update(
            name=name[:200], routing=routing, answer_within_hours=answer_within_hours
        )
        model.refresh_from_db()
        audit(actor, "changed", model, {"routing": routing, "answer_within_hours": answer_within_hours}, now)


def make_default(model: ScoreModel, *, now: datetime, actor: User | None = None) -> None:
    """The model that is shown where only one has room."""
    with transaction.atomic():
        ScoreModel.objects.filter(is_default=True).exclude(pk=model.pk).update(is_default=False)
        ScoreModel.objects.filter(pk=model.pk).update(is_default=True)
        model.is_default = True
        if actor is not None:
            audit(actor, "made default", model, {}, now)


def archive_model(model: ScoreModel, *, now: datetime, actor: User | None = None) -> None:
    """Scored no more and offered nowhere; its scores, ledger and hand-offs stay. Refused for the default and for one that is read."""
    if model.is_default:
        raise Refused(_("Make another model the default first."))
    with transaction.atomic():
        own_definitions()
        if users := graph.used_by(f"score:{model.slug}"):
            raise Refused(
                _("“%(name)s” is used by: %(users)s.")
                % {"name": model, "users": ", ".join(f"{one.kind} “{one}”" for one in users)}
            )
        ScoreModel.objects.filter(pk=model.pk).update(archived_at=now)
        audit(actor, "archived", model, {}, now)
    model.archived_at = now


# --- the draft -------------------------------------------------------------------------------------------------------------


def draft_of(model: ScoreModel, *, now: datetime) -> ScoreVersion:
    """The draft; made as a copy of the live version where there is none."""
    with transaction.atomic():
        _own(model)
        draft = model.versions.filter(state=ScoreVersion.State.DRAFT).first()
        if draft is not None:
            return draft
        return _copy(model, model.versions.filter(state=ScoreVersion.State.LIVE).first(), now=now)


def _own(model: ScoreModel) -> None:
    """One editor of a model at a time, for the length of the transaction."""
    ScoreModel.objects.select_for_update(no_key=True).get(pk=model.pk)


def _copy(model: ScoreModel, source: ScoreVersion | None, *, now: datetime) -> ScoreVersion:
    number = (model.versions.aggregate(Max("number"))["number__max"] or 0) + 1
    copy = ScoreVersion(model=model, number=number, edited_at=now)
    if source is not None:
        copy.threshold = source.threshold
        copy.fit_lines, copy.behaviour_lines = source.fit_lines, source.behaviour_lines
        copy.hands_over, copy.lower_line = source.hands_over, source.lower_line
        copy.hand_off_conditions = source.hand_off_conditions
        copy.includes_bant, copy.bant_weights = source.includes_bant, source.bant_weights
        copy.bant_line = source.bant_line
        copy.caps = source.caps
    copy.save()
    if source is not None:
        rules = []
        for rule in source.rules.all():
            same = Rule(version=copy, key=rule.key, group=rule.group, name=rule.name, conditions=rule.conditions)
            same.points, same.position = rule.points, rule.position
            set_counting(same, counting_of(rule))
            rules.append(same)
        Rule.objects.bulk_create(rules)
    return copy


def discard_draft(model: ScoreModel, *, now: datetime, actor: User | None = None) -> None:
    """Back to what is live. Refused where nothing is live yet."""
    with transaction.atomic():
        _own(model)
        if not model.versions.filter(state=ScoreVersion.State.LIVE).exists():
            raise Refused(_("Nothing is published yet: there is nothing to go back to."))
        gone, _counts = model.versions.filter(state=ScoreVersion.State.DRAFT).delete()
        if gone:
            audit(actor, "discarded the draft of", model, {}, now)


def restore(version: ScoreVersion, *, now: datetime, actor: User | None = None) -> ScoreVersion:
    """A new draft that says what an earlier version said; it takes the place of the present draft. Nothing is published by it."""
    model = version.model
    with transaction.atomic():
        _own(model)
        if version.state == ScoreVersion.State.DRAFT:
            raise Refused(_("This is the draft."))
        model.versions.filter(state=ScoreVersion.State.DRAFT).delete()
        draft = _copy(model, version, now=now)
        ScoreVersion.objects.filter(pk=draft.pk).update(restored_from=version.number)
        draft.restored_from = version.number
        audit(actor, "restored", model, {"version": version.number}, now)
    return draft


def _edit(version: ScoreVersion, edit_number: int | None, now: datetime) -> ScoreVersion:
    """Own the draft's row and count the edit. Outdated when it is no draft any more, or not the one the person saw."""
    row = ScoreVersion.objects.select_for_update(no_key=True).select_related("model").filter(pk=version.pk).first()
    if row is None or row.state != ScoreVersion.State.DRAFT:
        raise Outdated(_("This draft was published or discarded meanwhile. Open the model again."))
    if edit_number is not None and row.edit_number != edit_number:
        raise Outdated(_("Somebody else changed this draft meanwhile. Open it again to see what it says now."))
    row.edit_number += 1
    row.edited_at = now
    row.save(update_fields=["edit_number", "edited_at"])
    version.edit_number, version.edited_at = row.edit_number, row.edited_at
    return row


def save_rule(
    version: ScoreVersion,
    *,
    group: str,
    name: str,
    conditions: Any,
    points: Decimal,
    now: datetime,
    actor: User | None = None,
    key: uuid.UUID | None = None,
    edit_number: int | None = None,
    counting: Counting | None = None,
) -> Rule:
    """Add a rule to the draft, or change the one with that key. With `counting` it gives its points for each activity, else once.

    A rule that changes its group becomes another rule: the ledger adds up each group by the rows of its rules.
    Raises Refused for points that make no sense and for a loop (naming it), BadConditions for a document that does not fit.
    """
    name = clean(name)
    if not name:
        raise Refused(_("A rule needs a name: sales reads it on the card."))
    if group not in Rule.Group.values or group == Rule.Group.BANT:
        raise Refused(_("A rule belongs to fit, behaviour or negative."))
    points = checked_points(points, group)
    with transaction.atomic():
        own_definitions()
        tree = check(conditions)
        if counting is not None:
            leaf_of(tree)
            counting = check_counting(counting, points)
        draft = _edit(version, edit_number, now)
        rules = list(draft.rules.all())
        rule = next((one for one in rules if one.key == key), None) if key else None
        if key is not None and rule is None:
            raise Outdated(_("This rule is no longer part of the draft."))
        if rule is None and len(rules) >= MOST_RULES:
            raise Refused(_("A model has at most %(most)s rules.") % {"most": MOST_RULES})
        _refuse_loop(draft.model, reads(tree))
        if rule is None:
            last = max((one.position for one in rules if one.group == group), default=0)
            rule = Rule(version=draft, position=last + 1)
        elif rule.group != group:
            rule.key = uuid.uuid4()
        rule.group, rule.name, rule.points, rule.conditions = group, name[:200], points, to_document(tree)
        set_counting(rule, counting)
        rule.save()
        if actor is not None:
            audit(actor, "edited a rule of", draft.model, {"rule": rule.name, "points": str(points)}, now)
    return rule


def checked_points(points: Decimal, group: str) -> Decimal:
    """Rounded to hundredths. Refused when nothing, too much, or giving where the group takes."""
    if not points.is_finite():
        raise Refused(_("Points are a number."))
    if abs(points) > MOST_POINTS:
        raise Refused(_("A rule gives at most %(most)s points, either way.") % {"most": f"{MOST_POINTS:,}"})
    points = points.quantize(CENT)
    if points == 0:
        raise Refused(_("A rule without points changes nothing: give it some, or remove it."))
    if group == Rule.Group.NEGATIVE and points > 0:
        raise Refused(
            _("A negative rule takes points away: write -%(points)s.") % {"points": f"{points.normalize():f}"}
        )
    return points


def _refuse_loop(model: ScoreModel, new_reads: frozenset[str]) -> None:
    if loop := graph.loop_through(f"score:{model.slug}", new_reads):
        raise Refused(_("This would go round in a circle: %(loop)s.") % {"loop": " → ".join(loop)})


def delete_rule(
    version: ScoreVersion,
    *,
    key: uuid.UUID,
    now: datetime,
    actor: User | None = None,
    edit_number: int | None = None,
) -> None:
    """Take a rule out of the draft."""
    with transaction.atomic():
        draft = _edit(version, edit_number, now)
        rule = draft.rules.filter(key=key).first()
        if rule is None:
            raise Outdated(_("This rule is no longer part of the draft."))
        rule.delete()
        if actor is not None:
            audit(actor, "removed a rule of", draft.model, {"rule": rule.name}, now)


def change_lines(
    version: ScoreVersion,
    *,
    threshold: Decimal,
    fit_lines: Sequence[Decimal],
    behaviour_lines: Sequence[Decimal],
    now: datetime,
    actor: User | None = None,
    edit_number: int | None = None,
    caps: Mapping[str, Any] | None = None,
) -> None:
    """Threshold, grade lines and caps of the draft; caps as in ScoreVersion.caps, None leaves them."""
    if not threshold.is_finite() or not 0 < threshold <= MOST_POINTS * MOST_RULES:
        raise Refused(_("The hand-off threshold is a number above zero."))
    for lines in (fit_lines, behaviour_lines):
        if any(
            not line.is_finite() or abs(line) > MOST_POINTS * MOST_RULES for line in lines
        ) or not grades.are_falling(lines):
            raise Refused(_("Grade lines are three numbers, each below the one before it."))
    with transaction.atomic():
        draft = _edit(version, edit_number, now)
        draft.threshold = threshold.quantize(CENT)
        draft.fit_lines = [line.quantize(CENT) for line in fit_lines]
        draft.behaviour_lines = [line.quantize(CENT) for line in behaviour_lines]
        if caps is not None:
            draft.caps = checked_caps(caps)
        draft.save(update_fields=["threshold", "fit_lines", "behaviour_lines", "caps"])
        if actor is not None:
            audit(actor, "edited the lines of", draft.model, {"threshold": str(draft.threshold)}, now)


def change_hand_off(
    version: ScoreVersion,
    *,
    hands_over: bool,
    lower_line: Decimal | None,
    conditions: Any,
    now: datetime,
    actor: User | None = None,
    edit_number: int | None = None,
) -> None:
    """Whether the draft hands over at all, what must hold besides its threshold, and the line to fall below before a new crossing.

    The condition may read the model's own score: it decides nobody's points, so there is no loop. BadConditions for a bad document.
    """
    with transaction.atomic():
        own_definitions()
        document = None if conditions is None else to_document(check(conditions))
        draft = _edit(version, edit_number, now)
        if lower_line is not None and not (lower_line.is_finite() and lower_line < draft.threshold):
            raise Refused(
                _("The lower line lies below the threshold of %(points)s points.") % {"points": draft.threshold}
            )
        draft.hands_over, draft.hand_off_conditions = hands_over, document
        draft.lower_line = None if lower_line is None else lower_line.quantize(CENT)
        draft.save(update_fields=["hands_over", "lower_line", "hand_off_conditions"])
        if actor is not None:
            audit(actor, "edited the hand-off of", draft.model, {"hands_over": hands_over}, now)


def change_bant(
    version: ScoreVersion,
    *,
    includes: bool,
    weights: Sequence[Decimal],
    line: Decimal,
    now: datetime,
    actor: User | None = None,
    edit_number: int | None = None,
) -> None:
    """Whether BANT counts in the draft, what each of the four is worth, and from how many points it passes."""
    if len(weights) != len(BantFact.Facet.values) or any(not weight.is_finite() or weight < 0 for weight in weights):
        raise Refused(_("BANT has four weights, none below zero."))
    if not 0 < sum(weights) <= MOST_BANT:
        raise Refused(_("The four weights come to more than zero and at most %(most)s.") % {"most": MOST_BANT})
    if not line.is_finite() or not 0 < line <= sum(weights):
        raise Refused(_("BANT passes from a number above zero that the four weights can reach."))
    with transaction.atomic():
        draft = _edit(version, edit_number, now)
        draft.includes_bant = includes
        draft.bant_weights = [weight.quantize(CENT) for weight in weights]
        draft.bant_line = line.quantize(CENT)
        draft.save(update_fields=["includes_bant", "bant_weights", "bant_line"])
        if actor is not None:
            detail = {"includes_bant": includes, "weights": [str(weight) for weight in draft.bant_weights]}
            audit(actor, "edited BANT of", draft.model, detail, now)


# --- publishing --------------------------------------------------------------------------------------------------------------


def _refuse_unreadable_hand_off(draft: ScoreVersion) -> None:
    """What the condition asks for may have gone since it was written, or come back with an old version."""
    if draft.hand_off_conditions is None:
        return
    try:
        check(draft.hand_off_conditions)
    except BadConditions as error:
        raise Refused(_("Hand-off condition: %(problem)s") % {"problem": error.problems[0].message}) from error


def publish(
    version: ScoreVersion,
    *,
    reason: str,
    now: datetime,
    actor: User | None = None,
    edit_number: int | None = None,
    backlog: str = ScoreVersion.Backlog.ALL,
    backlog_per_day: int | None = None,
) -> None:
    """Make the draft live and ask for everybody to be scored again. All of it or nothing.

    Waits for a run of the same model to end (its lock), so that no run writes under two versions. Of two publishers the second
    is told: the draft that it looked at is gone.
    """
    reason = clean(reason)
    if not reason:
        raise Refused(_("Say why, for those who ask later."))
    if backlog not in ScoreVersion.Backlog.values:
        raise Refused(_("Choose what happens to the people who stand over the line already."))
    if backlog == ScoreVersion.Backlog.BEST and not 1 <= (backlog_per_day or 0) <= MOST_PER_DAY:
        raise Refused(_("Say how many a working day: from 1 to %(most)s.") % {"most": f"{MOST_PER_DAY:,}"})
    with transaction.atomic():
        queries.lock_model(version.model_id)
        own_definitions()
        draft = _edit(version, edit_number, now)
        if draft.lower_line is not None and draft.lower_line >= draft.threshold:
            raise Refused(_("The lower line of the hand-off lies at or above the threshold: lower it first."))
        for rule in draft.rules.all():
            try:
                tree = check(rule.conditions)
            except BadConditions as error:
                raise Refused(
                    _("Rule “%(rule)s”: %(problem)s") % {"rule": rule.name, "problem": error.problems[0].message}
                ) from error
            if rule.per_occurrence:
                leaf_of(tree)
            _refuse_loop(draft.model, reads(tree))
        _refuse_unreadable_hand_off(draft)
        live = draft.model.versions.filter(state=ScoreVersion.State.LIVE).first()
        since = now
        if live is not None:
            since = max(now, live.published_at or now)  # a clock that went back turns no version's time around
            counts = dict(live.rules.values_list("key", "met_count"))
            kept = [rule for rule in draft.rules.all() if rule.key in counts]
            for rule in kept:
                rule.met_count = counts[rule.key]
            Rule.objects.bulk_update(kept, ["met_count"])
            ScoreVersion.objects.filter(pk=live.pk).update(state=ScoreVersion.State.PAST)
        ScoreVersion.objects.filter(pk=draft.pk).update(
            state=ScoreVersion.State.LIVE,
            published_at=since,
            published_by=actor,
            reason=reason[:500],
            backlog=backlog,
            backlog_per_day=backlog_per_day if backlog == ScoreVersion.Backlog.BEST else None,
        )
        ScoreModel.objects.filter(pk=draft.model_id).update(
            stale_since=now,
            due_at=None,
            problem="",
            backlog_next_at=now if backlog == ScoreVersion.Backlog.BEST else None,
            hand_off_looked_at=None,
            hand_off_due_at=now if draft.hand_off_conditions is not None else None,
        )
        audit(actor, "published", draft.model, {"version": draft.number, "reason": reason, "backlog": backlog}, now)
    version.refresh_from_db()
