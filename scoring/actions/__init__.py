"""Verbs over score models (editing.py), points given (giving.py) and the queue (handing.py)."""

from leads.actions import Refused
from scoring.actions.editing import (
    Outdated,
    archive_model,
    change_bant,
    change_hand_off,
    change_lines,
    change_model,
    create_model,
    delete_rule,
    discard_draft,
    draft_of,
    make_default,
    publish,
    restore,
    save_rule,
)
from scoring.actions.giving import adjust_points, give_points, take_back_points
from scoring.actions.handing import (
    AlreadyAnswered,
    accept_lead,
    assign_lead,
    hand_over,
    hand_over_ripe,
    owner_for,
    recycle_lead,
    reject_lead,
)

__all__ = [
    "AlreadyAnswered",
    "Outdated",
    "Refused",
    "accept_lead",
    "adjust_points",
    "archive_model",
    "assign_lead",
    "change_bant",
    "change_hand_off",
    "change_lines",
    "change_model",
    "create_model",
    "delete_rule",
    "discard_draft",
    "draft_of",
    "give_points",
    "hand_over",
    "hand_over_ripe",
    "make_default",
    "owner_for",
    "publish",
    "recycle_lead",
    "reject_lead",
    "restore",
    "save_rule",
    "take_back_points",
]
