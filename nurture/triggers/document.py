"""The triggers of a version as a document: checked with the path of every fault, read back in words.

    [{"id": "t1", "kind": "segment", "segment": "dach"}, {"id": "t2", "kind": "stage", "stages": ["mql"]}]

Whoever meets any of them enters, each person once (or again, as the version's re-entry says). What each kind may say stands beside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from nurture.kinds import START, Names, Problem
from nurture.triggers import TRIGGERS, TriggerKind

Document = list[dict[str, Any]]

MOST_TRIGGERS = 20
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class BadTriggers(Exception):
    """The document is no list of triggers; `problems` says where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))


def check(document: Any) -> Document:
    """The document as it is; raises BadTriggers with every fault in its shape. A draft's trigger may be unfinished (see problems)."""
    if not isinstance(document, list):
        raise BadTriggers([Problem("", _("expected a list of triggers"))])
    faults = list(_faults(document))
    if len(document) > MOST_TRIGGERS:
        faults.append(Problem("", _("a program has at most %(n)d triggers") % {"n": MOST_TRIGGERS}))
    if faults:
        raise BadTriggers(faults)
    return document


def _faults(document: Sequence[Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, one in enumerate(document):
        path = f"[{place}]"
        kind = TRIGGERS.get(one["kind"]) if isinstance(one, dict) and isinstance(one.get("kind"), str) else None
        if kind is None:
            yield Problem(f"{path}.kind", _("choose one of: %(kinds)s") % {"kinds": ", ".join(TRIGGERS)})
            continue
        key = one.get("id")
        if not isinstance(key, str) or not _ID.fullmatch(key) or key in seen or key == "new":
            yield Problem(f"{path}.id", _("expected lower-case letters and digits, another one for each trigger"))
        else:
            seen.add(key)
        for name in sorted(set(one) - {"id", "kind"} - kind.keys, key=str):
            words = {"kind": kind.key, "known": ", ".join(sorted(kind.keys))}
            yield Problem(f"{path}.{name}", _("is not known here; “%(kind)s” takes: %(known)s") % words)
        for name, message in kind.malformed(values_of(one)):
            yield Problem(f"{path}.{name}", message)


def kind_of(one: Mapping[str, Any]) -> TriggerKind:
    return TRIGGERS[one["kind"]]


def values_of(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in ("id", "kind")}


def of_segment(slug: str) -> Document:
    """The document of a program that takes in whoever enters one segment."""
    return [{"id": "t1", "kind": "segment", "segment": slug}]


def new_id(document: Sequence[Mapping[str, Any]], taken: Sequence[str] = ()) -> str:
    """The next free id: t1, t2 … Ids of earlier versions stay theirs, since enrolments name them."""
    used = {one["id"] for one in document} | set(taken)
    return next(key for key in (f"t{n}" for n in range(1, len(used) + 2)) if key not in used)


def segments(document: Sequence[Mapping[str, Any]]) -> list[str]:
    """Slugs of the segments that let people in, in order."""
    return [one["segment"] for one in document if one["kind"] == "segment" and one.get("segment")]


def reads(document: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Keys of the definitions, fields and tags that decide who enters."""
    return frozenset(key for one in document for key in kind_of(one).reads(values_of(one)))


def problems(document: Sequence[Mapping[str, Any]], names: Names) -> Iterator[Problem]:
    """What keeps the version from starting, and what is doubtful."""
    if not document:
        yield Problem("trigger", _("Nobody enters: say what lets people in."), START)
    for one in document:
        for message, blocks in kind_of(one).problems(values_of(one), names):
            yield Problem("trigger", message, START, blocks)
    said = [{"kind": one["kind"], **values_of(one)} for one in document]
    if any(one in said[:place] for place, one in enumerate(said)):
        yield Problem("trigger", _("Two triggers say the same."), START, False)


def in_words(document: Sequence[Mapping[str, Any]], names: Names) -> list[str]:
    """Each trigger as the end of a sentence that begins “Whoever”."""
    return [kind_of(one).words(values_of(one), names) for one in document]


def entered_by(why: str, document: Sequence[Mapping[str, Any]], names: Names) -> str:
    """What an enrolment names as the reason of the entry, in words."""
    if why.startswith("segment:"):
        return _("Entered “%(segment)s”") % {"segment": names.segment(why.partition(":")[2])}
    if why.startswith("program:"):
        return _("Sent by “%(program)s”") % {"program": names.program(why.partition(":")[2])}
    kind, sign, key = why.partition("#")
    if sign:
        one = next((one for one in document if one["id"] == key and one["kind"] == kind), None)
        if one is not None:
            words = kind_of(one).words(values_of(one), names)
            return words[:1].upper() + words[1:]
        return str(TRIGGERS[kind].label) if kind in TRIGGERS else why
    return {"recycled": _("Recycled by sales"), "by_hand": _("Put in by hand")}.get(why, why)
