"""From a document to a tree, or every problem at once: where it is, what was found, what would fit."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from leads.text import clean, fold
from segments.conditions import patterns
from segments.conditions.fields import Catalogue, Field, Subject
from segments.conditions.operators import AMOUNTS, Operator, operators_for, property_readings
from segments.conditions.periods import DATE_UNITS, PERIODS, UNITS, parse_date, parse_moment
from segments.conditions.reading import RepeatedKeys
from segments.conditions.tree import (
    MOST_LEAVES,
    MOST_LEVELS,
    All,
    Amount,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    Step,
    Total,
    Tree,
    When,
)

LONGEST_TEXT = 2_000
MOST_VALUES = 5_000
MOST_CHARACTERS = 500_000  # of one document: a rule of 200 leaves written by hand has some 30,000
MOST_ROWS = 20  # conditions on one row
MOST_STEPS = 10
MOST_UNITS = 10**9
MOST_KINDS = 100

HOW = ("sum", "average", "smallest", "largest")
_SLUG = re.compile(r"[\w.:-]{1,100}\Z")
_NOT_IN_WHEN = frozenset({"anniversary_in", "is_known", "is_unknown"})
_TRIMMED = frozenset({"is", "is_not", "in", "not_in", "includes_any", "includes_all", "includes_none"})


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the path of the node or key, and a sentence for people."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class BadConditions(Exception):
    """The document is no rule; `problems` has all that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class _Refused(Exception):
    """This part cannot be read; its problems are noted already."""


Part = TypeVar("Part")


_shared: ContextVar[Catalogue | None] = ContextVar("shared_catalogue", default=None)


@contextmanager
def one_catalogue() -> Iterator[None]:
    """Documents that are checked within share a catalogue: a page with many rules reads each table once."""
    token = _shared.set(_shared.get() or Catalogue())
    try:
        yield
    finally:
        _shared.reset(token)


def check(document: Any, *, allow_unknown_slugs: bool = False, catalogue: Catalogue | None = None) -> Tree:
    """The tree of a document. Raises BadConditions with every problem.

    `allow_unknown_slugs` takes names of segments, personas, programs and choices that do not exist (yet): for import and for stored
    rules. Reads custom fields, slugs and the like from the database only when the document names some.
    """
    checker = _Checker(catalogue or _shared.get() or Catalogue(), allow_unknown_slugs=allow_unknown_slugs)
    tree: Tree | None = None
    if checker.is_sound(document):
        try:
            tree = checker.node(document, "", 1)
        except _Refused:
            tree = None
        if checker.leaves > MOST_LEAVES:
            checker.note(
                "",
                _("%(found)s conditions; a rule has at most %(most)s") % {"found": checker.leaves, "most": MOST_LEAVES},
            )
    if checker.problems or tree is None:
        raise BadConditions(checker.problems)
    return tree


class _Checker:
    def __init__(self, catalogue: Catalogue, *, allow_unknown_slugs: bool) -> None:
        self.catalogue = catalogue
        self.allow_unknown_slugs = allow_unknown_slugs
        self.problems: list[Problem] = []
        self.leaves = 0

    def note(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def refuse(self, path: str, message: str) -> _Refused:
        self.note(path, message)
        return _Refused()

    def is_sound(self, document: Any) -> bool:
        """Sizes and characters, before anything is looked at more closely."""
        waiting: list[tuple[str, Any]] = [("", document)]
        characters = 0
        while waiting:
            path, value = waiting.pop()
            if isinstance(value, dict):
                if isinstance(value, RepeatedKeys):
                    for key in value.repeated:
                        self.note(
                            _at(path, _short(key)), _("“%(key)s” stands here more than once") % {"key": _short(key)}
                        )
                for key, inside in value.items():
                    waiting.append((path, key))
                    waiting.append((f"{path}.{key}" if path else str(key)[:60], inside))
            elif isinstance(value, list | tuple):
                if len(value) > MOST_VALUES:
                    self.note(
                        path, _("%(found)s entries; at most %(most)s fit") % {"found": len(value), "most": MOST_VALUES}
                    )
                    return False
                waiting.extend((f"{path}[{place}]", inside) for place, inside in enumerate(value))
            elif isinstance(value, str):
                characters += len(value)
                if len(value) > LONGEST_TEXT:
                    self.note(
                        path,
                        _("a text of %(found)s characters; at most %(most)s fit")
                        % {"found": len(value), "most": LONGEST_TEXT},
                    )
                elif "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
                    self.note(path, _("the text holds a character that cannot be stored"))
            if self.problems and characters > MOST_CHARACTERS:
                return False
            if characters > MOST_CHARACTERS or len(waiting) > MOST_CHARACTERS:
                self.note(
                    "", _("the document is too large; at most %(most)s characters fit") % {"most": MOST_CHARACTERS}
                )
                return False
            if len(self.problems) > 20:
                return False
        return not self.problems

    def each(self, parts: Sequence[Any], read: Callable[[Any, int], Part]) -> tuple[Part, ...]:
        """Every part, so that all problems are found; refused when one was."""
        found = []
        is_bad = False
        for place, part in enumerate(parts):
            try:
                found.append(read(part, place))
            except _Refused:
                is_bad = True
        if is_bad:
            raise _Refused
        return tuple(found)

    # --- nodes

    def node(self, document: Any, path: str, level: int) -> Tree:
        if level > MOST_LEVELS:
            raise self.refuse(path, _("conditions are nested %(most)s levels deep at most") % {"most": MOST_LEVELS})
        heads = (
            "all",
            "any",
            "not",
            "field",
            "did",
            "sequence",
            "has",
            *(subject.key for subject in self.catalogue.subjects()),
        )
        if not isinstance(document, dict):
            raise self.refuse(
                path,
                _("%(found)s; a condition is an object with one of: %(fits)s")
                % {"found": _shown(document), "fits": ", ".join(heads)},
            )
        present = [head for head in heads if head in document]
        if len(present) != 1:
            if present:
                raise self.refuse(
                    path, _("%(found)s stand together; a condition has one of them") % {"found": ", ".join(present)}
                )
            found = ", ".join(f"“{_short(key)}”" for key in document) or _("an empty object")
            hint = next((near for key in document if (near := _nearest(key, heads))), "")
            raise self.refuse(
                path,
                _("%(found)s; a condition has one of: %(fits)s") % {"found": found, "fits": ", ".join(heads)} + hint,
            )
        head = present[0]
        if head in ("all", "any"):
            self.keys(document, path, (head,))
            nodes = document[head]
            if not isinstance(nodes, list):
                raise self.refuse(
                    _at(path, head), _("%(found)s; expected a list of conditions") % {"found": _shown(nodes)}
                )
            inside = self.each(nodes, lambda child, place: self.node(child, _at(path, f"{head}[{place}]"), level + 1))
            return All(inside) if head == "all" else AnyOf(inside)
        if head == "not":
            self.keys(document, path, ("not",))
            return Not(self.node(document["not"], _at(path, "not"), level + 1))
        self.leaves += 1
        match head:
            case "field":
                return self.field_leaf(document, path)
            case "did":
                return self.did_leaf(document, path)
            case "sequence":
                return self.sequence_leaf(document, path)
            case "has":
                return self.has_leaf(document, path)
        return self.member_leaf(document, path, head)

    def keys(self, document: dict[str, Any], path: str, fits: Sequence[str]) -> None:
        """Unknown keys are noted; the rest is read on, so that other problems are found too."""
        for key in document:
            if key not in fits:
                self.note(
                    _at(path, _short(key)),
                    _("“%(key)s” is not known here; what fits: %(fits)s")
                    % {"key": _short(key), "fits": ", ".join(fits)}
                    + _nearest(key, fits),
                )

    def need(self, document: dict[str, Any], path: str, key: str) -> Any:
        if key not in document:
            raise self.refuse(path, _("“%(key)s” is missing") % {"key": key})
        return document[key]

    def op(self, document: dict[str, Any], path: str) -> str:
        found = self.need(document, path, "op")
        if not isinstance(found, str):
            raise self.refuse(
                _at(path, "op"), _("%(found)s; expected the name of an operator") % {"found": _shown(found)}
            )
        return found

    # --- leaves

    def field_leaf(self, document: dict[str, Any], path: str, subject: str | None = None) -> FieldLeaf:
        spec = self.spec(document["field"], _at(path, "field"), subject)
        return self.compared(document, path, spec, spec.name if subject else spec.key)

    def spec(self, key: Any, path: str, subject: str | None) -> Field:
        if not isinstance(key, str):
            raise self.refuse(path, _("%(found)s; expected the name of a field") % {"found": _shown(key)})
        spec = self.catalogue.get(f"{subject}.{key}" if subject else key)
        if spec is not None and (subject is not None or not self.catalogue.is_of_rows(key)):
            return spec
        if spec is not None or self.catalogue.is_of_rows(key):
            rows = key.partition(".")[0]
            inside = '{"did": …, "where": […]}' if rows == "activity" else f'{{"has": "{rows}", "where": […]}}'
            raise self.refuse(
                path,
                _("“%(key)s” belongs to rows; put it into %(inside)s without the prefix")
                % {"key": _short(key), "inside": inside},
            )
        known = [each.name if subject else each.key for each in self.catalogue.fields(subject)]
        if subject:
            fits = _("; what fits: %(fits)s") % {"fits": ", ".join(known)}
        else:
            prefix = key.partition(".")[0] + "."
            near = [name for name in known if name.startswith(prefix)]
            fits = (
                _("; what fits: %(fits)s") % {"fits": ", ".join(near[:40])}
                if near
                else _("; fields start with contact., company. and the like")
            )
        raise self.refuse(
            path, _("there is no field “%(key)s”") % {"key": _short(key)} + (_nearest(key, known) or fits)
        )

    def compared(self, document: dict[str, Any], path: str, spec: Field, name: str) -> FieldLeaf:
        fitting = operators_for(spec.type)
        key = self.op(document, path)
        if key not in fitting:
            raise self.refuse(
                _at(path, "op"),
                _("“%(label)s” (%(type)s) cannot use “%(op)s”; choose one of: %(fits)s")
                % {"label": spec.label, "type": spec.type, "op": _short(key), "fits": ", ".join(fitting)}
                + _nearest(key, fitting),
            )
        reading, operator = self.reading(document, path, spec, key)
        self.keys(document, path, ("field", "op", *_value_keys(operator)))
        wanted = self.wanted(document, path, operator, reading, spec)
        return FieldLeaf(
            name,
            key,
            _frozen(document.get("value")),
            document.get("unit"),
            spec=spec,
            operator=operator,
            type=reading,
            wanted=wanted,
            names=partial(self.catalogue.choices, spec) if spec.choices is not None else dict,
        )

    def reading(self, document: dict[str, Any], path: str, spec: Field, key: str) -> tuple[str, Operator]:
        """How the field is read: by its type; a property by what the condition asks for."""
        if spec.type != "property":
            return spec.type, operators_for(spec.type)[key]
        readings = property_readings(key)
        if len(readings) > 1:
            value = document.get("value")
            sample = value[0] if isinstance(value, list) and value else value
            if isinstance(sample, bool):
                raise self.refuse(_at(path, "value"), _("a yes/no is asked for with is_true or is_false"))
            kind = "number" if _is_number(sample) else ("iso" if "iso" in readings else "text")
            if kind not in readings:
                raise self.refuse(
                    _at(path, "value"), _("%(found)s does not go with “%(op)s”") % {"found": _shown(value), "op": key}
                )
            readings = [kind]
        return readings[0], operators_for(readings[0])[key]

    def did_leaf(self, document: dict[str, Any], path: str) -> DidLeaf:
        self.keys(document, path, ("did", "where", "count", "when", "first", "latest", "total"))
        modes = [key for key in ("count", "first", "latest", "total") if key in document]
        if len(modes) > 1:
            self.note(
                path, _("%(found)s stand together; a condition has at most one of them") % {"found": ", ".join(modes)}
            )
        first = document.get("first", True)
        if first is not True:
            self.note(_at(path, "first"), _("%(found)s; “first” is true or absent") % {"found": _shown(first)})
        if document.get("latest") == []:
            self.note(_at(path, "latest"), _("“latest” needs at least one condition on the most recent row"))
        (kinds, is_list), where, latest, when, count, total = self.parts(
            lambda: self.kinds(document["did"], _at(path, "did")),
            lambda: self.rows(document, path, "where", "activity"),
            lambda: self.rows(document, path, "latest", "activity"),
            lambda: self.when(document, path),
            lambda: self.count(document, path),
            lambda: self.total(document["total"], _at(path, "total")) if "total" in document else None,
        )
        return DidLeaf(kinds, where, when, count, "first" in document, latest, total, is_list)

    def parts(self, *reads: Callable[[], Any]) -> list[Any]:
        """The parts of one leaf, each read, so that all problems are found."""
        return list(self.each(reads, lambda read, place: read()))

    def count(self, document: dict[str, Any], path: str) -> Amount | None:
        return self.amount(document["count"], _at(path, "count"), is_count=True) if "count" in document else None

    def kinds(self, value: Any, path: str) -> tuple[tuple[str, ...] | None, bool]:
        if value == "any":
            return None, False
        listed = value if isinstance(value, list) else [value]
        if not listed or len(listed) > MOST_KINDS:
            raise self.refuse(
                path, _('expected the kind of activity, a list of 1 to %(most)s kinds, or "any"') % {"most": MOST_KINDS}
            )

        def kind(one: Any, place: int) -> str:
            where = f"{path}[{place}]" if isinstance(value, list) else path
            if not isinstance(one, str) or not _SLUG.match(one):
                raise self.refuse(
                    where,
                    _("%(found)s is no kind of activity; a kind is a slug such as page_view") % {"found": _shown(one)},
                )
            if one == "any":
                raise self.refuse(where, _("“any” stands alone, not in a list"))
            return one

        return self.each(listed, kind), isinstance(value, list)

    def rows(self, document: dict[str, Any], path: str, key: str, subject: str) -> tuple[FieldLeaf, ...]:
        listed = document.get(key, [])
        if not isinstance(listed, list):
            raise self.refuse(
                _at(path, key),
                _("%(found)s; expected a list of conditions on the same row") % {"found": _shown(listed)},
            )
        if len(listed) > MOST_ROWS:
            raise self.refuse(
                _at(path, key),
                _("%(found)s conditions on one row; at most %(most)s fit") % {"found": len(listed), "most": MOST_ROWS},
            )

        def row(each: Any, place: int) -> FieldLeaf:
            inside = _at(path, f"{key}[{place}]")
            if not isinstance(each, dict):
                raise self.refuse(
                    inside, _("%(found)s; expected an object with field, op and value") % {"found": _shown(each)}
                )
            self.need(each, inside, "field")
            return self.field_leaf(each, inside, subject)

        return self.each(listed, row)

    def when(self, document: dict[str, Any], path: str) -> When | None:
        if "when" not in document:
            return None
        value, path = document["when"], _at(path, "when")
        if not isinstance(value, dict):
            raise self.refuse(
                path,
                _('%(found)s; expected a period such as {"op": "in_last", "value": 30, "unit": "days"}')
                % {"found": _shown(value)},
            )
        fitting = {key: row for key, row in operators_for("moment").items() if key not in _NOT_IN_WHEN}
        key = self.op(value, path)
        if key not in fitting:
            raise self.refuse(
                _at(path, "op"),
                _("a period cannot use “%(op)s”; choose one of: %(fits)s")
                % {"op": _short(key), "fits": ", ".join(fitting)}
                + _nearest(key, fitting),
            )
        operator = fitting[key]
        self.keys(value, path, ("op", *_value_keys(operator)))
        wanted = self.wanted(value, path, operator, "moment", None)
        return When(key, _frozen(value.get("value")), value.get("unit"), operator=operator, wanted=wanted)

    def amount(self, value: Any, path: str, *, is_count: bool, keys: tuple[str, ...] = ("op", "value")) -> Amount:
        if not isinstance(value, dict):
            raise self.refuse(
                path, _('%(found)s; expected such as {"op": "at_least", "value": 3}') % {"found": _shown(value)}
            )
        self.keys(value, path, keys)
        key = self.op(value, path)
        if key not in AMOUNTS:
            raise self.refuse(
                _at(path, "op"),
                _("a number is not compared by “%(op)s”; choose one of: %(fits)s")
                % {"op": _short(key), "fits": ", ".join(AMOUNTS)}
                + _nearest(key, AMOUNTS),
            )
        raw, path = self.need(value, path, "value"), _at(path, "value")
        wanted: Any = self.pair(raw, path) if key == "between" else self.number(raw, path)
        if is_count:
            for number in wanted if key == "between" else (wanted,):
                if number < 0 or number != number.to_integral_value():
                    raise self.refuse(path, _("%(found)s; a count is a whole number from 0") % {"found": _shown(raw)})
        return Amount(key, _frozen(raw), wanted=wanted)

    def total(self, value: Any, path: str) -> Total:
        if not isinstance(value, dict):
            raise self.refuse(
                path,
                _(
                    '%(found)s; expected such as {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 100}'
                )
                % {"found": _shown(value)},
            )
        of = self.need(value, path, "of")
        spec = self.spec(of, _at(path, "of"), "activity")
        if spec.type not in ("property", "number"):
            raise self.refuse(
                _at(path, "of"),
                _("“%(label)s” is no number; a total is worked out over properties.<key>") % {"label": spec.label},
            )
        how = self.need(value, path, "as")
        if how not in HOW:
            raise self.refuse(
                _at(path, "as"),
                _("“%(found)s” is no way to add up; choose one of: %(fits)s")
                % {"found": _short(how), "fits": ", ".join(HOW)}
                + _nearest(how, HOW),
            )
        return Total(of, how, self.amount(value, path, is_count=False, keys=("of", "as", "op", "value")), spec=spec)

    def sequence_leaf(self, document: dict[str, Any], path: str) -> SequenceLeaf:
        self.keys(document, path, ("sequence", "gap", "when"))
        steps = document["sequence"]
        if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
            raise self.refuse(
                _at(path, "sequence"),
                _('expected a list of 1 to %(most)s steps such as {"did": "download"}') % {"most": MOST_STEPS},
            )

        def step(each: Any, place: int) -> Step:
            inside = _at(path, f"sequence[{place}]")
            if not isinstance(each, dict):
                raise self.refuse(
                    inside, _('%(found)s; a step is such as {"did": "download"}') % {"found": _shown(each)}
                )
            self.keys(each, inside, ("did", "where"))
            (kinds, is_list), where = self.parts(
                lambda: self.kinds(self.need(each, inside, "did"), _at(inside, "did")),
                lambda: self.rows(each, inside, "where", "activity"),
            )
            return Step(kinds, where, is_list)

        found, gap, when = self.parts(
            lambda: self.each(steps, step), lambda: self.gap(document, path), lambda: self.when(document, path)
        )
        return SequenceLeaf(found, gap, when)

    def gap(self, document: dict[str, Any], path: str) -> tuple[int, str] | None:
        if "gap" not in document:
            return None
        value, path = document["gap"], _at(path, "gap")
        if not isinstance(value, dict):
            raise self.refuse(
                path, _('%(found)s; expected such as {"value": 7, "unit": "days"}') % {"found": _shown(value)}
            )
        self.keys(value, path, ("value", "unit"))
        return self.units(value, path, UNITS)

    def has_leaf(self, document: dict[str, Any], path: str) -> HasLeaf:
        key = document["has"]
        related = self.catalogue.related(key) if isinstance(key, str) else None
        if related is None:
            fits = [each.key for each in self.catalogue.all_related()]
            raise self.refuse(
                _at(path, "has"),
                _("there are no rows “%(found)s”; what fits: %(fits)s")
                % {"found": _short(key), "fits": ", ".join(fits)}
                + _nearest(key, fits),
            )
        for mode in ("when", "first", "latest", "total"):
            if mode in document:
                self.note(
                    _at(path, mode),
                    _(
                        '“%(key)s” does not go with “has”; put the date into “where”, as in {"field": "opened_on", "op": "in_last", …}'
                    )
                    % {"key": mode},
                )
        self.keys(
            {name: value for name, value in document.items() if name not in ("when", "first", "latest", "total")},
            path,
            ("has", "where", "count"),
        )
        where, count = self.parts(lambda: self.rows(document, path, "where", key), lambda: self.count(document, path))
        return HasLeaf(key, where, count, related=related)

    def member_leaf(self, document: dict[str, Any], path: str, key: str) -> MemberLeaf:
        subject = self.catalogue.subject(key)
        assert subject is not None
        self.keys(document, path, (key, "state") if subject.states else (key,))
        slug, state = document[key], document.get("state")
        if not isinstance(slug, str) or not slug:
            raise self.refuse(_at(path, key), _("%(found)s; expected a slug") % {"found": _shown(slug)})
        if "state" in document and subject.states and state not in subject.states:
            self.note(
                _at(path, "state"),
                _("“%(found)s” is no state; choose one of: %(fits)s")
                % {"found": _short(state), "fits": ", ".join(subject.states)}
                + _nearest(state, subject.states),
            )
        self.slug_exists(subject, slug, _at(path, key))
        return MemberLeaf(key, slug, state, spec=subject, names=partial(self.catalogue.slugs, subject))

    def slug_exists(self, subject: Subject, slug: str, path: str) -> None:
        if self.allow_unknown_slugs:
            return
        known = self.catalogue.slugs(subject)
        if slug not in known and subject.archived is not None and slug in dict(subject.archived()):
            words = _("%(label)s “%(slug)s” is in the archive; take it out, or choose another one")
            self.note(path, words % {"label": subject.label, "slug": _short(slug)})
        elif slug not in known:
            listed = ", ".join(sorted(known)[:20])
            fits = _("; what fits: %(fits)s") % {"fits": listed} if listed else _("; there is none yet")
            self.note(
                path,
                _("%(label)s “%(slug)s” does not exist") % {"label": subject.label, "slug": _short(slug)}
                + (_nearest(slug, known) or fits),
            )

    # --- values

    def wanted(self, document: dict[str, Any], path: str, operator: Operator, type: str, spec: Field | None) -> Any:
        """The value as compared."""
        if operator.shape == "none":
            return None
        if operator.shape == "amount":
            return self.units(document, path, DATE_UNITS if type == "date" else UNITS)
        raw = self.need(document, path, "value")
        path = _at(path, "value")
        if raw is None or raw == "" or raw == []:
            raise self.refuse(
                path, _("%(found)s is no value; for an unknown one say is_unknown") % {"found": _shown(raw)}
            )
        match operator.shape:
            case "text":
                return self.text(raw, path, operator, spec)
            case "texts":
                if not isinstance(raw, list):
                    raise self.refuse(path, _('%(found)s; expected a list such as ["a", "b"]') % {"found": _shown(raw)})
                return frozenset(
                    self.each(raw, lambda each, place: self.text(each, f"{path}[{place}]", operator, spec))
                )
            case "pattern":
                return self.pattern(raw, path)
            case "number":
                return self.number(raw, path)
            case "numbers":
                return self.pair(raw, path)
            case "day":
                return self.time(raw, path, with_clock=False)
            case "time":
                return self.time(raw, path, with_clock=type != "date")
            case "times":
                return self.times(raw, path, with_clock=type != "date")
            case "period":
                if raw not in PERIODS:
                    raise self.refuse(
                        path,
                        _("%(found)s is no period; choose one of: %(fits)s")
                        % {"found": _shown(raw), "fits": ", ".join(PERIODS)}
                        + _nearest(raw, PERIODS),
                    )
                return raw
            case "days":
                return self.whole(raw, path, 0, 365)
        raise AssertionError(operator.shape)

    def text(self, raw: Any, path: str, operator: Operator, spec: Field | None) -> str:
        if not isinstance(raw, str):
            hint = _("; write it in quotes") if _is_number(raw) else ""
            raise self.refuse(path, _("%(found)s; expected a text") % {"found": _shown(raw)} + hint)
        text = clean(raw) if operator.key in _TRIMMED else unicodedata.normalize("NFC", raw)
        if not text:
            raise self.refuse(
                path, _("%(found)s is no value; for an unknown one say is_unknown") % {"found": _shown(raw)}
            )
        if spec is not None and spec.normal is not None:
            text = spec.normal(text)
        found = fold(text)
        if spec is not None and spec.is_closed and not self.allow_unknown_slugs:
            self.choice_exists(spec, raw, found, path)
        return found

    def choice_exists(self, spec: Field, raw: str, found: str, path: str) -> None:
        if spec.choices is None or found in self.catalogue.choices(spec):
            return
        known = [choice for choice, _label in spec.choices()]
        fits = _("; choose one of: %(fits)s") % {"fits": ", ".join(known[:100])} if known else _("; there is none yet")
        raise self.refuse(
            path,
            _("“%(found)s” is none of “%(label)s”") % {"found": _short(raw), "label": spec.label}
            + fits
            + _nearest(found, known),
        )

    def pattern(self, raw: Any, path: str) -> patterns.Part:
        if not isinstance(raw, str):
            raise self.refuse(path, _("%(found)s; expected a regular expression as text") % {"found": _shown(raw)})
        try:
            return patterns.parse(unicodedata.normalize("NFC", raw))
        except patterns.BadPattern as error:
            raise self.refuse(path, str(error)) from error

    def number(self, raw: Any, path: str) -> Decimal:
        if not _is_number(raw):
            hint = _("; write it without quotes") if isinstance(raw, str) and _spells_number(raw) else ""
            raise self.refuse(path, _("%(found)s; expected a number") % {"found": _shown(raw)} + hint)
        if isinstance(raw, float) and math.isnan(raw):
            raise self.refuse(path, _("%(found)s is no finite number") % {"found": _shown(raw)})
        if (isinstance(raw, float) and math.isinf(raw)) or (isinstance(raw, int) and raw.bit_length() > 330):
            raise self.refuse(path, _("a number of this size is never stored; at most 100 digits fit"))
        number = Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)
        if (
            not number.is_finite()
            or number.adjusted() > 99
            or len(number.as_tuple().digits) > 100
            or int(number.as_tuple().exponent) < -100
        ):
            raise self.refuse(path, _("a number of this size is never stored; at most 100 digits fit"))
        return number

    def pair(self, raw: Any, path: str) -> tuple[Decimal, Decimal]:
        if not isinstance(raw, list) or len(raw) != 2:
            raise self.refuse(path, _("%(found)s; expected two numbers such as [5, 20]") % {"found": _shown(raw)})
        low, high = self.each(raw, lambda each, place: self.number(each, f"{path}[{place}]"))
        if low > high:
            raise self.refuse(path, _("%(found)s is reversed; the smaller number comes first") % {"found": _shown(raw)})
        return low, high

    def whole(self, raw: Any, path: str, least: int, most: int) -> int:
        number = self.number(raw, path)
        if number != number.to_integral_value() or not least <= number <= most:
            raise self.refuse(
                path,
                _("%(found)s; expected a whole number from %(least)s to %(most)s")
                % {"found": _shown(raw), "least": least, "most": most},
            )
        return int(number)

    def units(self, document: dict[str, Any], path: str, fits: Sequence[str]) -> tuple[int, str]:
        number = self.whole(self.need(document, path, "value"), _at(path, "value"), 1, MOST_UNITS)
        unit = self.need(document, path, "unit")
        if unit not in fits:
            why = (
                _("minutes and hours do not fit a date")
                if unit in UNITS
                else _("%(found)s is no unit") % {"found": _shown(unit)}
            )
            raise self.refuse(
                _at(path, "unit"),
                _("%(why)s; choose one of: %(fits)s") % {"why": why, "fits": ", ".join(fits)} + _nearest(unit, fits),
            )
        return number, unit

    def time(self, raw: Any, path: str, *, with_clock: bool) -> Any:
        if isinstance(raw, str):
            day = parse_date(raw)
            if day is not None:
                return day
            moment = parse_moment(raw) if with_clock else None
            if moment is not None:
                return moment
        form = (
            _("a date such as 2026-03-31, or a moment such as 2026-03-31T14:00:00Z")
            if with_clock
            else _("a bare date such as 2026-03-31")
        )
        raise self.refuse(path, _("%(found)s; expected %(form)s") % {"found": _shown(raw), "form": form})

    def times(self, raw: Any, path: str, *, with_clock: bool) -> tuple[Any, Any]:
        if not isinstance(raw, list) or len(raw) != 2:
            raise self.refuse(
                path, _('%(found)s; expected two dates such as ["2026-01-01", "2026-03-31"]') % {"found": _shown(raw)}
            )
        low, high = self.each(raw, lambda each, place: self.time(each, f"{path}[{place}]", with_clock=with_clock))
        if _form(low) != _form(high):
            raise self.refuse(
                path,
                _("%(found)s; both ends have the same form: dates, moments with a zone, or moments without")
                % {"found": _shown(raw)},
            )
        if low > high:
            raise self.refuse(path, _("%(found)s is reversed; the earlier one comes first") % {"found": _shown(raw)})
        return low, high


def _form(value: Any) -> tuple[bool, bool]:
    return isinstance(value, datetime), isinstance(value, datetime) and value.tzinfo is not None


def _at(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _value_keys(operator: Operator) -> tuple[str, ...]:
    return {"none": (), "amount": ("value", "unit")}.get(operator.shape, ("value",))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _spells_number(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?[0-9]+([.,][0-9]+)?\s*", text) is not None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _shown(value: Any) -> str:
    """What was found, in words."""
    match value:
        case None:
            return _("null")
        case bool():
            return "true" if value else "false"
        case str():
            return _("the text “%(text)s”") % {"text": _short(value)} if value.strip() else _("an empty text")
        case list() if not value:
            return _("an empty list")
        case list():
            return _short("[" + ", ".join(_short(each) for each in value[:10]) + "]")
        case dict():
            return _("an object")
        case int() if value.bit_length() > 330:
            return _("a very long number")
    return _short(value)


def _nearest(word: Any, fits: Iterable[str]) -> str:
    """“; did you mean …?” when something fitting is spelled nearly so."""
    near = (
        difflib.get_close_matches(word, list(fits), n=1, cutoff=0.7)
        if isinstance(word, str) and len(word) <= 100
        else []
    )
    return _("; did you mean “%(near)s”?") % {"near": near[0]} if near and near[0] != word else ""
