"""Statements over many scores and hand-offs: raw SQL of the room stands in these files only."""

from scoring.queries.cards import Colleague, Deed, LedgerEntry, active_colleagues, latest_deeds, ledger_of
from scoring.queries.handing import BEFORE_SALES, Candidate, candidates, lock_ripe
from scoring.queries.health import broken_sums, ledger_sums_hold, one_open_hand_off_each
from scoring.queries.reports import AnswerRow, FunnelRow, answers, funnel, funnel_people
from scoring.queries.rules import CompiledRule, Lines, Plan, Written, grade_sql
from scoring.queries.running import EVERYBODY, ledger_keys, lock_model, mark_ripe, refresh_all, refresh_some
from scoring.queries.sheets import (
    BAND,
    HIGHEST_BAND,
    LOWEST_BAND,
    Difference,
    Listed,
    Moved,
    answers_per_rule,
    compare,
    moved_people,
    people,
    people_count,
    rules_held,
    spread,
)

__all__ = [
    "BAND",
    "BEFORE_SALES",
    "EVERYBODY",
    "HIGHEST_BAND",
    "LOWEST_BAND",
    "AnswerRow",
    "Candidate",
    "Colleague",
    "CompiledRule",
    "Deed",
    "Difference",
    "FunnelRow",
    "LedgerEntry",
    "Lines",
    "Listed",
    "Moved",
    "Plan",
    "Written",
    "active_colleagues",
    "answers",
    "answers_per_rule",
    "broken_sums",
    "candidates",
    "compare",
    "funnel",
    "funnel_people",
    "grade_sql",
    "latest_deeds",
    "ledger_keys",
    "ledger_of",
    "ledger_sums_hold",
    "lock_model",
    "lock_ripe",
    "mark_ripe",
    "moved_people",
    "one_open_hand_off_each",
    "people",
    "people_count",
    "refresh_all",
    "refresh_some",
    "rules_held",
    "spread",
]
