"""What a merge of two contacts does to scores: leads, BANT and points given go over, the sums are worked out anew."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.merging import Line, Pair, Part, register_part
from leads.queries import mark
from scoring import bant
from scoring.actions.answering import merge_hand_offs
from scoring.cards import number
from scoring.models import POINTS_GIVEN, BantFact, HandOff, LookAgain, Notice, PointsGiven, Score
from scoring.queries.bant import bant_of


def register() -> None:
    register_part(
        Part(
            "scores",
            gettext_lazy("Scores and leads"),
            moves=frozenset(
                {"scoring_handoff", "scoring_bantfact", "scoring_pointsgiven", "scoring_lookagain", "scoring_notice"}
            ),
            drops=frozenset({"scoring_ledgerrow", "scoring_score", "scoring_scoredue", "scoring_graduationspared"}),
            tell=_tell,
            join=_join,
            order=40,
        )
    )


def _tell(pair: Pair) -> Sequence[Line]:
    return [*_scores(pair), *_leads(pair), *_bant(pair), *_given(pair)]


def _scores(pair: Pair) -> list[Line]:
    """One statement."""
    rows = Score.objects.filter(contact__in=[pair.kept, pair.gone], model__archived_at=None).select_related("model")
    found: dict[str, dict[int, str]] = {}
    for row in rows.order_by("-model__is_default", "model__name"):
        found.setdefault(str(row.model), {})[row.contact_id] = f"{number(row.total)} ({row.grade})"
    words = _("%(model)s: %(kept)s and %(gone)s; the score is worked out anew from the joined facts.")
    return [
        Line(
            words % {"model": model, "kept": of.get(pair.kept.pk, "–"), "gone": of.get(pair.gone.pk, "–")},
            "chart-line",
        )
        for model, of in found.items()
    ]


def _leads(pair: Pair) -> list[Line]:
    """One statement."""
    rows = HandOff.objects.filter(contact__in=[pair.kept, pair.gone]).select_related("model", "owner").order_by("pk")
    lines = []
    open_ones: dict[int, list[HandOff]] = {}
    answered = 0
    for row in rows:
        if row.state == HandOff.State.OPEN:
            open_ones.setdefault(row.model_id, []).append(row)
        elif row.contact_id == pair.gone.pk:
            answered += 1
    for found in open_ones.values():
        if len(found) > 1:
            stays = min(found, key=lambda one: (one.due_at, one.pk))
            words = _("Both wait in the queue of %(model)s: the lead that is due first stays, with %(owner)s.")
            lines.append(
                Line(words % {"model": stays.model, "owner": stays.owner or _("nobody")}, "inbox", is_warning=True)
            )
        elif found[0].contact_id == pair.gone.pk:
            words = _("The open lead of %(model)s goes over, with its card and its clock.")
            lines.append(Line(words % {"model": found[0].model}, "inbox"))
    if answered:
        words = ngettext("%(n)s answered lead joins the history.", "%(n)s answered leads join the history.", answered)
        lines.append(Line(words % {"n": answered}, "history"))
    return lines


def _bant(pair: Pair) -> list[Line]:
    """Where both know something, the newer one counts. One statement."""
    of = bant_of([pair.kept.pk, pair.gone.pk], at=pair.now)
    ours, theirs = of[pair.kept.pk], of[pair.gone.pk]
    lines = []
    for facet in bant.FACETS:
        facts = [one[facet] for one in (ours, theirs) if facet in one]
        if facet in theirs:
            counts = max(facts, key=lambda fact: (fact.known_at, fact.pk))
            words = (
                _("%(facet)s: “%(said)s” counts, the newer of the two.")
                if len(facts) > 1
                else _("%(facet)s: “%(said)s”.")
            )
            lines.append(
                Line(words % {"facet": bant.LABELS[BantFact.Facet(facet)], "said": bant.said(counts)}, "target-arrow")
            )
    return lines


def _given(pair: Pair) -> list[Line]:
    """One statement."""
    n = PointsGiven.objects.filter(contact=pair.gone).count()
    words = ngettext("Points given once come along.", "Points given %(n)s times come along.", n)
    return [Line(words % {"n": n}, "plus-minus")] if n else []


def _join(pair: Pair, actor: User | None) -> None:
    """The ledger of the one who goes goes too: its sums were of somebody who is no more. The turn writes what the joined facts add."""
    merge_hand_offs(gone=pair.gone, kept=pair.kept, actor=actor, now=pair.now)
    BantFact.objects.filter(contact=pair.gone).update(contact=pair.kept)
    PointsGiven.objects.filter(contact=pair.gone).update(contact=pair.kept)
    Notice.objects.filter(contact=pair.gone).update(contact=pair.kept)
    _join_looks_again(pair)
    mark([pair.kept.pk], POINTS_GIVEN)


def _join_looks_again(pair: Pair) -> None:
    """Of two days to look again the earlier one stays."""
    both = LookAgain.objects.filter(contact__in=[pair.kept, pair.gone]).pending().order_by("due_at", "pk")
    for row in both[1:]:
        row.delete()
    LookAgain.objects.filter(contact=pair.gone).update(contact=pair.kept)
