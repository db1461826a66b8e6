"""Judgement: how good, how keen, and why."""

from scoring.models.bant import BantFact, BantFactQuerySet, LookAgain, LookAgainQuerySet
from scoring.models.graduation import Benchmark, GraduationRule, GraduationRuleQuerySet, GraduationSpared
from scoring.models.hand_offs import AnswerReason, HandOff, HandOffEvent, HandOffQuerySet
from scoring.models.ledger import LedgerGroup, LedgerRow, PointsGiven, Score, ScoreDue, ScoreDueQuerySet
from scoring.models.queue import Desk, Holiday, Notice, NoticeWish, RoutingRule, RoutingSeat
from scoring.models.score_models import (
    DEFAULT_BANT_WEIGHTS,
    DEFAULT_BEHAVIOUR_LINES,
    DEFAULT_FIT_LINES,
    POINTS_GIVEN,
    Rule,
    ScoreModel,
    ScoreModelQuerySet,
    ScoreVersion,
    default_bant_weights,
    default_behaviour_lines,
    default_fit_lines,
)

__all__ = [
    "DEFAULT_BANT_WEIGHTS",
    "DEFAULT_BEHAVIOUR_LINES",
    "DEFAULT_FIT_LINES",
    "POINTS_GIVEN",
    "AnswerReason",
    "BantFact",
    "BantFactQuerySet",
    "Benchmark",
    "Desk",
    "GraduationRule",
    "GraduationRuleQuerySet",
    "GraduationSpared",
    "HandOff",
    "HandOffEvent",
    "HandOffQuerySet",
    "Holiday",
    "LedgerGroup",
    "LedgerRow",
    "LookAgain",
    "LookAgainQuerySet",
    "Notice",
    "NoticeWish",
    "PointsGiven",
    "RoutingRule",
    "RoutingSeat",
    "Rule",
    "Score",
    "ScoreDue",
    "ScoreDueQuerySet",
    "ScoreModel",
    "ScoreModelQuerySet",
    "ScoreVersion",
    "default_bant_weights",
    "default_behaviour_lines",
    "default_fit_lines",
]
