"""Placeholders that stay empty for some readers because no default stands behind them, and for how many people that is so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import CharField, Count, Exists, Model, OuterRef, Q, QuerySet
from liquid import BoundTemplate
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.expression import Expression

from leads.models import Company, Contact, Owner, Signal
from nurture.templating import languages
from nurture.templating.placeholders import COMPANY_FIELDS, CONTACT_FIELDS, CONTENT
from nurture.templating.rendering import Compiled
from scoring.models import Score

_ASKS_FIRST = frozenset(
    {"if", "unless", "case", "block", "for", "tablerow"}
)  # who names a value here knows that it may lack


def placeholders(compiled: Compiled) -> list[str]:
    """Those of contact, company, owner, score and content that are shown as they come: no default, no question before."""
    known = {path for part in compiled.parts[:3] for path in part.global_variable_paths()}
    found = {path for part in compiled.parts[:3] for path in _shown_bare(part.nodes, frozenset(), part)}
    return sorted(path for path in found & known if _lacks(path) is not None)


def _shown_bare(nodes: Sequence[Node], asked: frozenset[str], part: BoundTemplate) -> Iterator[str]:
    context = part.context_class(part)
    for node in nodes:
        if isinstance(node, OutputNode | AssignNode):
            yield from _paths_without_default(node.expression) - asked
        inside = asked | _paths_below(node) if node.token.value.split(" ")[0] in _ASKS_FIRST else asked
        yield from _shown_bare(list(node.children(context)), inside, part)


def _paths_without_default(expression: Expression) -> frozenset[str]:
    if isinstance(expression, FilteredExpression):
        if any(one.name == "default" for one in expression.filters or []):
            return frozenset()
        return frozenset({str(expression.left)})
    return frozenset()


def _paths_below(node: Node) -> frozenset[str]:
    """Everything that a tag's own conditions name."""
    found, rest = set(), list(node.expressions())
    for child in node.children(None):  # type: ignore[arg-type]  # our nodes and the library's read no context for this
        rest += list(child.expressions())
    while rest:
        one = rest.pop()
        found.add(str(one))
        rest += one.children()
    return frozenset(found)


# --- For how many people -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """How many of how many people have no value for each placeholder."""

    people: int
    lacking: dict[str, int]


def count(paths: Sequence[str], people: QuerySet[Contact]) -> Counts:
    """One pass over the people, whatever the number of placeholders. One statement."""
    wanted = {
        f"lacking_{number}": Count("pk", filter=lacks) for number, path in enumerate(paths) if (lacks := _lacks(path))
    }
    row = people.aggregate(people=Count("pk"), **wanted)
    return Counts(
        row["people"],
        {path: row[f"lacking_{number}"] for number, path in enumerate(paths) if f"lacking_{number}" in row},
    )


MOST_LANGUAGES = 8


def readers_of_others(tags: Sequence[str], people: QuerySet[Contact]) -> list[tuple[str, int]]:
    """Languages, by name, that people read and none of the tags serves, with how many read it; the most first. One statement."""
    found: dict[str, int] = {}
    for words, number in people.exclude(language="").order_by().values_list("language").annotate(number=Count("pk")):
        if (tag := languages.tag_of(words)) and not languages.chosen(tags, tag):
            name = languages.name_of(tag)
            found[name] = found.get(name, 0) + number
    return sorted(found.items(), key=lambda row: (-row[1], row[0]))[:MOST_LANGUAGES]


def _lacks(path: str) -> Q | None:
    """Who has no value there; None for what is never empty, or nobody can have (rendering.unknown_placeholders)."""
    root, _dot, rest = path.partition(".")
    if root in ("contact", "company") and rest.startswith("custom."):
        return _no_custom("" if root == "contact" else "company__", rest.removeprefix("custom."))
    if root == "contact" and rest in CONTACT_FIELDS:
        return _empty(Contact, rest, "")
    if root == "contact" and rest == "full_name":
        return Q(first_name="", last_name="")
    if root == "company" and rest in COMPANY_FIELDS:
        return Q(company=None) | _empty(Company, rest, "company__")
    if root == "owner" and rest in ("name", "first_name"):
        return Q(owner=None)
    if root == "owner" and rest in ("email", "team"):
        return Q(owner=None) | _empty(Owner, rest, "owner__")
    if root == "score" and rest.count(".") == 1:
        model = rest.partition(".")[0]
        return Q(~Exists(Score.objects.filter(contact=OuterRef("pk"), model__slug=model)))
    if root == "content" and (kinds := CONTENT.get(rest.partition(".")[0])):
        return Q(~Exists(Signal.objects.filter(contact=OuterRef("pk"), kind__slug__in=kinds)))
    return None


def _empty(model: type[Model], name: str, prefix: str) -> Q:
    """Null and empty text both mean that nobody knows."""
    field = model._meta.get_field(name)
    found = Q(**{f"{prefix}{name}": ""}) if isinstance(field, CharField) else Q()
    return found | Q(**{f"{prefix}{name}__isnull": True}) if field.null else found


def _no_custom(prefix: str, key: str) -> Q:
    has = {f"{prefix}custom__has_key": key}
    return ~Q(**has) | Q(**{f"{prefix}custom__{key}": None}) | Q(**{f"{prefix}custom__{key}": ""})
