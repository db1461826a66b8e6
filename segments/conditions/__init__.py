"""The rule language (docs/conditions.md): one document for segments, personas, scores, branches and goals.

tree = check(document)                      BadConditions names every problem
matching(tree, moment(now))                 one statement: ids of everybody, or of a batch with contacts=[…]
matching(tree, moment(now), stored=True)    the same, reading segments and personas as stored: what the turn wants
explain(tree, contact_id, moment(now))      the verdict for one contact with its reasons
sentence(tree)                              in words
reads, facets, next_due, changed_by_time    what must be looked at again, and when
"""

from __future__ import annotations

from datetime import datetime

from leads.workspace import workspace, zone
from segments.conditions.check import BadConditions, Problem, check, one_catalogue
from segments.conditions.effects import changed_by_time, facets, mentions, next_due, reads
from segments.conditions.facts import Facts, read_facts
from segments.conditions.fields import (
    Catalogue,
    Either,
    Family,
    Field,
    Related,
    Scope,
    Subject,
    fields,
    register_family,
    register_field,
    register_related,
    register_subject,
)
from segments.conditions.fragment import Sql, bind
from segments.conditions.operators import AMOUNTS, OPERATORS, Operator, operators_for
from segments.conditions.periods import DATE_UNITS, PERIODS, UNITS, Moment
from segments.conditions.reasons import Judge, LeafVerdict, NoSuchContact, Verdict, explain, explain_each
from segments.conditions.sql import (
    NEAR,
    Chosen,
    chosen_activities,
    count,
    match_ids,
    matching,
    names_of_matching,
    near_activities,
    predicate,
    sample,
    time_limit,
)
from segments.conditions.tree import Leaf, Tree, leaves, to_document
from segments.conditions.words import sentence

__all__ = [
    "AMOUNTS",
    "DATE_UNITS",
    "NEAR",
    "OPERATORS",
    "PERIODS",
    "UNITS",
    "BadConditions",
    "Catalogue",
    "Chosen",
    "Either",
    "Facts",
    "Family",
    "Field",
    "Judge",
    "Leaf",
    "LeafVerdict",
    "Moment",
    "NoSuchContact",
    "Operator",
    "Problem",
    "Related",
    "Scope",
    "Sql",
    "Subject",
    "Tree",
    "Verdict",
    "bind",
    "changed_by_time",
    "check",
    "chosen_activities",
    "count",
    "explain",
    "explain_each",
    "facets",
    "fields",
    "leaves",
    "match_ids",
    "matching",
    "mentions",
    "moment",
    "names_of_matching",
    "near_activities",
    "next_due",
    "one_catalogue",
    "operators_for",
    "predicate",
    "read_facts",
    "reads",
    "register_family",
    "register_field",
    "register_related",
    "register_subject",
    "sample",
    "sentence",
    "time_limit",
    "to_document",
]


def moment(at: datetime) -> Moment:
    """The moment with the workspace's zone and week. One statement."""
    row = workspace()
    return Moment(at, zone(row), row.week_start)
