"""What the pages of segments show: the decision before saving, who uses a segment, why somebody is in it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import OperationalError
from django.utils.translation import gettext as _

from leads.models import Contact
from segments import graph, queries
from segments.actions import free_slug, refuse_rule
from segments.conditions import BadConditions, Catalogue, Verdict, check, explain, matching, moment, sentence
from segments.models import Membership, Segment, SegmentOverride
from segments.words import why_in_words

JUMP_FACTOR = 3  # grown or shrunk by more than this factor …
JUMP_PEOPLE = 100  # … and by more than that many people: the save must be meant
EXAMPLES = 5
REVIEW_SECONDS = 20.0


@dataclass(frozen=True)
class Affected:
    """A definition that reads the segment, itself or through another one."""

    definition: graph.Definition
    through: str = ""


@dataclass
class Proposal:
    """What saving a rule would do. The numbers are None when they could not be counted in time."""

    conditions: dict[str, Any] | None
    sentence: str
    is_new_rule: bool
    difference: queries.SaveDifference | None = None
    joining: list[Contact] = field(default_factory=list)
    leaving: list[Contact] = field(default_factory=list)
    affected: list[Affected] = field(default_factory=list)
    was: str = ""

    @property
    def is_jump(self) -> bool:
        """Whether the size changes by so much that somebody may have slipped; an unknown size counts as one."""
        if self.difference is None:
            return self.is_new_rule
        before, after = self.difference.before, self.difference.after
        if abs(after - before) <= JUMP_PEOPLE or before == 0:
            return False
        return after > before * JUMP_FACTOR or after * JUMP_FACTOR < before


def propose(
    segment: Segment | None, *, name: str, mode: str, conditions: Any, everybody: bool, now: datetime
) -> Proposal:
    """The difference that saving makes. Refused like the save itself: BadConditions, NeedsConditions, Loop.

    Some eight statements; one evaluates the rule over everybody, bounded by REVIEW_SECONDS.
    """
    slug = segment.slug if segment else free_slug(name)
    document = refuse_rule(segment, slug=slug, mode=mode, conditions=conditions, everybody=everybody)
    is_new_rule = document is not None and (segment is None or segment.conditions != document)
    proposal = Proposal(document, in_words(document), is_new_rule)
    if not is_new_rule:
        return proposal
    rule = matching(check(document), moment(now), stored=True)
    try:
        difference = queries.difference_of_rule(
            segment.pk if segment else None, rule, examples=EXAMPLES, seconds=REVIEW_SECONDS
        )
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != "57014":
            raise
    else:
        proposal.difference = difference
        people = Contact.objects.select_related("company").in_bulk(
            [*difference.joining_examples, *difference.leaving_examples]
        )
        proposal.joining = [people[pk] for pk in difference.joining_examples if pk in people]
        proposal.leaving = [people[pk] for pk in difference.leaving_examples if pk in people]
    if segment is not None:
        proposal.was = in_words(segment.conditions)
        proposal.affected = affected_by(segment.key)
    return proposal


def affected_by(key: str) -> list[Affected]:
    """Who reads a definition, first directly, then through others."""
    users = graph.users_of(graph.definitions())
    found: dict[str, Affected] = {}
    waiting = [(key, "")]
    while waiting:
        here, through = waiting.pop(0)
        for definition in users.get(here, []):
            if definition.key not in found and definition.key != key:
                found[definition.key] = Affected(definition, through)
                waiting.append((definition.key, definition.label))
    return list(found.values())


def in_words(document: Any, catalogue: Catalogue | None = None) -> str:
    """The rule as a sentence; what is wrong with one that cannot be read any more. A page of many shares one catalogue."""
    if document is None:
        return ""
    if document == {"all": []}:
        return _("Everybody")
    try:
        return sentence(check(document, allow_unknown_slugs=True, catalogue=catalogue))
    except BadConditions as error:
        return _("This rule cannot be read any more: %(problem)s") % {"problem": error.problems[0].message}


@dataclass
class Why:
    """Why a contact is in a segment or not: what was decided by hand, what the rule says leaf by leaf, since when."""

    contact: Contact
    stay: Membership | None
    stay_why: str
    last_left: Membership | None
    last_left_why: str
    override: SegmentOverride | None
    override_cause: str
    verdict: Verdict | None
    problem: str = ""


def why(segment: Segment, contact: Contact, *, now: datetime) -> Why:
    """Three statements, and those that read the facts the rule asks for."""
    stay = Membership.objects.filter(segment=segment, contact=contact, until=None).first()
    last_left = (
        Membership.objects.filter(segment=segment, contact=contact).exclude(until=None).order_by("-until").first()
    )
    override = SegmentOverride.objects.filter(segment=segment, contact=contact).select_related("actor").first()
    verdict, problem = None, ""
    if segment.mode == Segment.Mode.DYNAMIC and segment.conditions is not None:
        try:
            verdict = explain(check(segment.conditions), contact.pk, moment(now))
        except BadConditions as error:
            problem = error.problems[0].message
    return Why(
        contact,
        stay,
        why_in_words(stay.why) if stay else "",
        last_left,
        why_in_words(last_left.left_why) if last_left else "",
        override,
        why_in_words(override.cause) if override else "",
        verdict,
        problem,
    )


EXPORT_COLUMNS = {
    "external_id": "contact__external_id",
    "email": "contact__email",
    "first_name": "contact__first_name",
    "last_name": "contact__last_name",
    "title": "contact__title",
    "company": "contact__company__name",
    "country": "contact__country",
    "stage": "contact__stage",
    "since": "since",
    "why": "why",
}


class _Echo:
    def write(self, line: str) -> str:
        return line


def export_rows(segment: Segment) -> Iterator[str]:
    """The members as lines of a CSV file, newest first; read in steps, so that a million members need no memory."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(EXPORT_COLUMNS)
    members = Membership.objects.filter(segment=segment, until=None).order_by("-since", "-id")
    rows = members.values_list(*EXPORT_COLUMNS.values())
    for *texts, since, why_stored in rows.iterator(chunk_size=2_000):
        yield writer.writerow([*(_harmless(text) for text in texts), since.isoformat(), why_stored])


def _harmless(text: str | None) -> str:
    """A cell that a spreadsheet does not run as a formula."""
    text = text or ""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def folders() -> list[str]:
    """Names of folders in use. One statement."""
    names: Iterable[str] = (
        Segment.objects.in_use().exclude(folder="").order_by("folder").values_list("folder", flat=True)
    )
    return list(dict.fromkeys(names))
