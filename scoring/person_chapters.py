"""What scores, leads and BANT know about one person, for the file that they may ask for."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from leads.person_file import Chapter, Person, Row, register_chapter
from scoring.models import BantFact, HandOff, LedgerRow, LookAgain, Notice, PointsGiven, Score


def register() -> None:
    for chapter in (
        Chapter("scores", _("Scores"), frozenset({"scoring_score"}), _scores, order=50),
        Chapter("points", _("Points, one by one"), frozenset({"scoring_ledgerrow"}), _ledger, order=51),
        Chapter("points_given", _("Points given"), frozenset({"scoring_pointsgiven"}), _given, order=52),
        Chapter("bant", _("Budget, authority, need, timeframe"), frozenset({"scoring_bantfact"}), _bant, order=53),
        Chapter("leads", _("Handed to sales"), frozenset({"scoring_handoff"}), _leads, order=54),
        Chapter("looks_again", _("To be looked at again"), frozenset({"scoring_lookagain"}), _looks, order=55),
        Chapter("notices", _("Notices to colleagues"), frozenset({"scoring_notice"}), _notices, order=56),
    ):
        register_chapter(chapter)


def _scores(person: Person) -> Iterable[Row]:
    rows = Score.objects.filter(contact=person.contact_id).order_by("model_id")
    return rows.values(
        "total", "fit", "behaviour", "negative", "bant", "grade", "computed_at", of_model=F("model__name")
    )


def _ledger(person: Person) -> Iterable[Row]:
    rows = LedgerRow.objects.filter(contact=person.contact_id)
    rows = rows.order_by("model_id", "counts_from", "rule_key", "revision")
    return rows.values("counts_from", "recorded_at", "points", "group", "cause", of_model=F("model__name"))


def _given(person: Person) -> Iterable[Row]:
    rows = PointsGiven.objects.filter(contact=person.contact_id).order_by("given_at", "id")
    return rows.values("given_at", "points", "cause", "reason", "ends_at", of_model=F("model__name"))


def _bant(person: Person) -> Iterable[Row]:
    rows = BantFact.objects.filter(contact=person.contact_id).order_by("known_at", "id")
    return rows.values(
        "known_at", "facet", "answer", "amount", "due_on", "verdict", "source", "confidence", "note", "lapses_at"
    )


def _leads(person: Person) -> Iterable[Row]:
    rows = HandOff.objects.filter(contact=person.contact_id).order_by("handed_over_at", "id")
    return rows.values(
        "handed_over_at",
        "state",
        "cause",
        "total",
        "grade",
        "answered_at",
        "answer_note",
        "card",
        of_model=F("model__name"),
        answer=F("answer_reason__label"),
    )


def _looks(person: Person) -> Iterable[Row]:
    rows = LookAgain.objects.filter(contact=person.contact_id).order_by("set_at", "id")
    return rows.values("set_at", "due_at", "why", "done_at", "outcome")


def _notices(person: Person) -> Iterable[Row]:
    rows = Notice.objects.filter(contact=person.contact_id).order_by("at", "id")
    return rows.values("at", "kind", "words")
