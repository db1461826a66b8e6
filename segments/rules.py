"""Stored rule documents, read into trees once: what a beat, a list of users and a page need of them."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from segments.conditions import BadConditions, Tree, check, facets, mentions, reads
from segments.conditions.fields import families_stamp
from segments.queries import custom_fields_stamp

# A beat reads every rule that a change touches; reading a document takes a fraction of a millisecond, so hundreds are kept.
_KEPT = 2_000


@dataclass(frozen=True)
class Rule:
    """A readable document: its tree, what it reads, which marks touch it."""

    tree: Tree
    reads: frozenset[str]
    facets: frozenset[int]


def catalogue_stamp() -> object:
    """Changes whenever a field, and with it the meaning of a document, may have. A statement for custom fields, one a family."""
    return custom_fields_stamp(), families_stamp()


_rules: OrderedDict[tuple[str, object], Rule] = OrderedDict()
_reads: OrderedDict[str, frozenset[str]] = OrderedDict()


def rule_of(document: Any, stamp: object) -> Rule:
    """The rule of a stored document. BadConditions when it is no longer readable (a field or slug that is gone)."""
    place = (json.dumps(document, sort_keys=True), stamp)
    rule = _rules.get(place)
    if rule is None:
        tree = check(document, allow_unknown_slugs=True)
        rule = Rule(tree, reads(tree), frozenset(facets(tree)))
        _rules[place] = rule
        if len(_rules) > _KEPT:
            _rules.popitem(last=False)
    return rule


def reads_of(rule: Any) -> frozenset[str]:
    """What a tree, a document or None reads, with the tags, stages and kinds it names (`tag:partner`); nothing for one that is not readable.

    Which definitions and fields a document names does not depend on the catalogue, so the answer is kept without a stamp.
    """
    if rule is None:
        return frozenset()
    if not isinstance(rule, dict):
        return reads(rule) | mentions(rule)
    text = json.dumps(rule, sort_keys=True)
    if text not in _reads:
        try:
            tree = check(rule, allow_unknown_slugs=True)
            _reads[text] = reads(tree) | mentions(tree)
        except BadConditions:
            return frozenset()  # not kept: a field that comes back makes it readable
        if len(_reads) > _KEPT:
            _reads.popitem(last=False)
    return _reads[text]
