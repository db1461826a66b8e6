"""What the pages of segments show: the decision before saving, who uses a segment, rules in words, the export."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import OperationalError
from django.utils.translation import gettext as _

from leads.models import Contact
from leads.queries import estimated_rows
from leads.workspace import workspace
from segments import graph, queries_pages
from segments.actions import free_slug, refuse_rule
from segments.conditions import BadConditions, Catalogue, Tree, check, leaves, matching, moment, sentence
from segments.conditions.tree import All, AnyOf, Not
from segments.consequences import told
from segments.models import Membership, Segment

JUMP_PEOPLE = (
    100  # grown or shrunk beyond the workspace's factor and by more than this many people: the save must be meant
)
CLOSE_ENOUGH = 0.01  # a size typed from the sheet still counts when that share of people came or went meanwhile
EXAMPLES = 5
REVIEW_SECONDS = 20.0


@dataclass(frozen=True)
class Affected:
    """A definition that reads the segment, itself or through another one, and what the save does to it."""

    definition: graph.Definition
    through: str = ""
    consequences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What a save changes in numbers."""

    before: int
    after: int
    joining: int
    leaving: int
    everybody: int = 0  # about how many contacts there are


@dataclass(frozen=True)
class Change:
    """One condition that came or went between two rules, or how they are joined."""

    sign: str  # + − ±
    words: str


@dataclass
class Proposal:
    """What saving a rule would do. The numbers are None when they could not be counted in time."""

    conditions: dict[str, Any] | None
    sentence: str
    is_new_rule: bool
    factor: int
    difference: Difference | None = None
    joining: list[Contact] = field(default_factory=list)
    leaving: list[Contact] = field(default_factory=list)
    affected: list[Affected] = field(default_factory=list)
    was: str = ""
    changes: list[Change] = field(default_factory=list)

    @property
    def is_jump(self) -> bool:
        """Whether the size changes by so much that somebody may have slipped; an unknown size counts as one."""
        if self.difference is None:
            return self.is_new_rule
        before, after = self.difference.before, self.difference.after
        if abs(after - before) <= JUMP_PEOPLE or before == 0:
            return False
        return after > before * self.factor or after * self.factor < before

    @property
    def share(self) -> int | None:
        """About how many of a hundred contacts would be in; None where that is unknown."""
        if self.difference is None or not self.difference.everybody:
            return None
        return min(100, round(100 * self.difference.after / self.difference.everybody))

    def is_meant(self, answer: str) -> bool:
        """Whether the person answered the guard: the size typed as it was shown, or “yes” where no size is known."""
        if self.difference is None:
            return answer == "yes"
        digits = "".join(char for char in answer if char.isdigit())
        if not digits or len(digits) > 12:
            return False
        return abs(int(digits) - self.difference.after) <= CLOSE_ENOUGH * self.difference.after


def propose(
    segment: Segment | None, *, name: str, mode: str, conditions: Any, everybody: bool, now: datetime
) -> Proposal:
    """The difference that saving makes. Refused like the save itself: BadConditions, NeedsConditions, Loop.

    Some dozen statements; one evaluates the rule over everybody, bounded by REVIEW_SECONDS.
    """
    slug = segment.slug if segment else free_slug(name)
    document = conditions
    if segment is None or conditions != segment.conditions:
        document = refuse_rule(segment, slug=slug, mode=mode, conditions=conditions, everybody=everybody)
    catalogue = Catalogue()
    is_new_rule = document is not None and (segment is None or segment.conditions != document)
    proposal = Proposal(document, in_words(document, catalogue), is_new_rule, workspace().jump_factor)
    if not is_new_rule:
        return proposal
    if segment is not None:
        proposal.was = in_words(segment.conditions, catalogue)
        proposal.changes = changes_between(segment.conditions, document, catalogue)
        proposal.affected = affected_by(segment.key)
    rule = matching(check(document), moment(now), stored=True)
    try:
        with queries_pages.staged_difference(segment.pk if segment else None, rule, seconds=REVIEW_SECONDS) as staged:
            _count(proposal, segment, staged)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != "57014":
            raise
        proposal.difference = None
    return proposal


def _count(proposal: Proposal, segment: Segment | None, staged: queries_pages.Staged) -> None:
    joining = staged.examples(joins=True, most=EXAMPLES)
    leaving = staged.examples(joins=False, most=EXAMPLES)
    people = Contact.objects.select_related("company").in_bulk([*joining, *leaving])
    proposal.joining = [people[pk] for pk in joining if pk in people]
    proposal.leaving = [people[pk] for pk in leaving if pk in people]
    if segment is not None:
        proposal.affected = [
            affected
            if affected.through
            else Affected(affected.definition, "", tuple(told(affected.definition, segment, staged)))
            for affected in proposal.affected
        ]
    proposal.difference = Difference(
        staged.before, staged.after, staged.joining, staged.leaving, estimated_rows("leads_contact")
    )


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


def catalogue_with(known: Iterable[graph.Definition]) -> Catalogue:
    """A catalogue that knows the names of segments and personas from definitions that were read anyway."""
    names: dict[str, dict[str, str]] = {"segment": {}, "persona": {}}
    for definition in known:
        kind, _colon, slug = definition.key.partition(":")
        if kind in names:
            names[kind][slug] = definition.label
    catalogue = Catalogue()
    for kind, of_kind in names.items():
        catalogue.learn(f"in_{kind}", of_kind)
    return catalogue


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


def changes_between(before: Any, after: Any, catalogue: Catalogue) -> list[Change]:
    """Which conditions went, which came, and whether what stayed is joined in another way; empty where one of the two cannot be read."""
    try:
        old, new = (
            check(document, allow_unknown_slugs=True, catalogue=catalogue) for document in (before or {}, after or {})
        )
    except BadConditions:
        return []
    went, came = _leaf_words(old), _leaf_words(new)
    found = [Change("−", words) for words in (went - came).elements()]
    found += [Change("+", words) for words in (came - went).elements()]
    kept = went & came
    if {_word(old), _word(new)} == {All, AnyOf}:
        words = (
            _("“or” instead of “and” between the conditions: one of them is enough.")
            if _word(new) is AnyOf
            else _("“and” instead of “or” between the conditions: all of them have to hold.")
        )
        found.insert(0, Change("±", words))
    elif kept and _joined(old, kept) != _joined(new, kept):
        found.append(
            Change("±", _("What stays is joined in another way: look at “and”, “or”, “not” and the brackets."))
        )
    return found


def _word(tree: Tree) -> type[Tree] | None:
    """What joins the outermost conditions, where there are several."""
    return type(tree) if isinstance(tree, All | AnyOf) and len(tree.children) > 1 else None


def _leaf_words(tree: Tree) -> Counter[str]:
    return Counter(sentence(leaf) for _path, leaf in leaves(tree))


def _joined(tree: Tree, kept: Counter[str]) -> Any:
    """How the conditions that stayed hang together, whatever their order; groups of one are none."""
    match tree:
        case Not(child):
            inside = _joined(child, kept)
            return None if inside is None else ("not", inside)
        case All(nodes) | AnyOf(nodes):
            parts = [part for node in nodes if (part := _joined(node, kept)) is not None]
            if len(parts) < 2:
                return parts[0] if parts else None
            return (type(tree).__name__, sorted(parts, key=repr))
    words = sentence(tree)
    return words if words in kept else None


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
