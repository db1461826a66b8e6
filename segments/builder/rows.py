"""A document of conditions as rows to draw: each node becomes a group, a sentence row or, when rows cannot show it, its JSON."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from segments.builder.catalogue import Catalogue, Spec

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

MOST_OPTIONS = 15  # a select of more is slower to read than typing two letters
BARE_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
LOCAL_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}\Z")
COUNT_OPERATORS = ("at_least", "at_most", "exactly", "more_than", "less_than", "between")
COMPARISON_KEYS = frozenset({"field", "op", "value", "unit"})


class Unshowable(Exception):
    """This part has no row; the text says why."""


@dataclass(frozen=True)
class Choice:
    value: str
    label: StrOrPromise
    is_chosen: bool = False
    shape: str = ""


@dataclass(frozen=True)
class Box:
    """One input. `shown` is what a person reads when it differs from the value (Germany for DE)."""

    text: str
    label: StrOrPromise
    focus: str
    input: str = "text"
    kind: str = "text"
    shown: str = ""
    suggests: str = ""
    options: Sequence[Choice] = ()
    has_shadow: bool = False
    is_element: bool = False
    step: str = "any"
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Value:
    """The inputs of a comparison. Shapes: none, one, pair, list (chips), amount (number and unit), days."""

    shape: str
    at: str = ""
    first: Box | None = None
    second: Box | None = None
    chips: Sequence[Choice] = ()
    suggests: str = ""
    focus: str = ""
    label: StrOrPromise = ""
    kind: str = "text"
    units: Sequence[Choice] = ()
    time_change: str = ""
    time_to: str = ""


@dataclass(frozen=True)
class Property:
    """A property of an activity, named by the marketer and read as the type that its value has."""

    key: str
    kinds: Sequence[Choice]


@dataclass(frozen=True)
class Comparison:
    """[field] [operator] [value]; `at` is the path before it inside its leaf: "" or "where[0]."."""

    field: str
    label: StrOrPromise
    at: str
    shape: str
    operators: Sequence[Choice]
    value: Value
    fields: Sequence[Choice] = ()
    property: Property | None = None


@dataclass(frozen=True)
class WhereRows:
    """Comparisons that hold on one and the same activity or deal."""

    key: str
    at: str
    rows: Sequence[Comparison]
    word: StrOrPromise
    add: StrOrPromise


@dataclass(frozen=True)
class Count:
    op: str
    value: Value


@dataclass(frozen=True)
class Total:
    of: str
    hows: Sequence[Choice]
    shape: str
    operators: Sequence[Choice]
    value: Value


@dataclass(frozen=True)
class Often:
    """How often: which of the four ways, and its inputs."""

    choices: Sequence[Choice]
    count: Count | None = None
    total: Total | None = None
    is_never: bool = False
    is_first: bool = False


@dataclass(frozen=True)
class Period:
    """When: an empty `op` is “ever”."""

    op: str
    shape: str
    operators: Sequence[Choice]
    value: Value


@dataclass(frozen=True)
class Step:
    kinds: Sequence[Choice]
    is_single: bool
    focus: str
    where: WhereRows
    can_go: bool


def _uid() -> str:
    return secrets.token_hex(4)


@dataclass(frozen=True, kw_only=True)
class Node:
    uid: str = field(default_factory=_uid, compare=False)
    is_negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Row(Node):
    kind = "leaf"
    template: str
    label: StrOrPromise
    icon: str
    help: StrOrPromise = ""
    details_template: str = ""
    has_other_start: bool = True


@dataclass(frozen=True, kw_only=True)
class FieldRow(Row):
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class DidRow(Row):
    kinds: Sequence[Choice]
    is_single: bool
    where: WhereRows
    often: Often
    latest: WhereRows | None
    when: Period


@dataclass(frozen=True, kw_only=True)
class HasRow(Row):
    subject: str
    where: WhereRows
    often: Often


@dataclass(frozen=True, kw_only=True)
class SequenceRow(Row):
    steps: Sequence[Step]
    gap: Value | None
    when: Period


@dataclass(frozen=True, kw_only=True)
class MemberRow(Row):
    subject: str
    slug: str
    shown: str
    options: Sequence[Choice]
    states: Sequence[Choice]


@dataclass(frozen=True, kw_only=True)
class JsonRow(Node):
    kind = "json"
    text: str
    reason: StrOrPromise

    @property
    def lines(self) -> int:
        return min(12, self.text.count("\n") + 1)


@dataclass(frozen=True, kw_only=True)
class Group(Node):
    """Nodes joined by one word. An implicit one stands round a rule that is a single leaf and is not written while it stays one."""

    kind = "group"
    join: str
    children: Sequence[Group | Row | JsonRow]
    is_root: bool = False
    is_implicit: bool = False
    is_everybody: bool = False
    offers_everybody: bool = False

    @property
    def modes(self) -> list[Choice]:
        chosen = {("all", False): "all", ("any", False): "any", ("any", True): "none", ("all", True): "not_all"}[
            (self.join, self.is_negated)
        ]
        words = (
            ("all", _("all of these")),
            ("any", _("at least one of these")),
            ("none", _("none of these")),
            ("not_all", _("not all of these")),
        )
        return [Choice(value, label, value == chosen) for value, label in words]


class Rows:
    """Draws documents with one catalogue; the catalogue is read once per request."""

    def __init__(self, catalogue: Catalogue, *, offers_everybody: bool = False) -> None:
        self.catalogue = catalogue
        self.offers_everybody = offers_everybody

    def root(self, document: Any, *, is_everybody: bool = False) -> Group:
        """The whole rule. None and, unless everybody was picked by name, a rule without conditions are an empty group."""
        if document is None:
            document = {"all": []}
        group = self.group(document, is_root=True)
        if group is None:
            group = Group(
                join="all",
                children=[self.node(document)],
                is_root=True,
                is_implicit=True,
                offers_everybody=self.offers_everybody,
            )
        elif not group.children and not group.is_negated and group.join == "all":
            group = Group(
                join="all",
                children=[],
                is_root=True,
                is_everybody=is_everybody,
                offers_everybody=self.offers_everybody,
            )
        return group

    def node(self, document: Any) -> Group | Row | JsonRow:
        """Any node; what has no row is kept as JSON with the reason."""
        group = self.group(document)
        if group is not None:
            return group
        is_negated = isinstance(document, dict) and set(document) == {"not"}
        leaf = document["not"] if is_negated else document
        try:
            return self._leaf(leaf, is_negated=is_negated)
        except Unshowable as reason:
            why = str(reason)
        except TypeError:  # a list or an object where a word belongs
            why = _("This is not a condition yet; it is kept as it is.")
        text = document if isinstance(document, str) else json.dumps(document, indent=2, ensure_ascii=False)
        return JsonRow(text=text, reason=why)

    def group(self, document: Any, *, is_root: bool = False) -> Group | None:
        """The group that a document is: all, any, or the negation of one; None for anything else."""
        if not isinstance(document, dict) or len(document) != 1:
            return None
        is_negated = "not" in document and isinstance(document["not"], dict)
        inner = document["not"] if is_negated else document
        ((join, nodes),) = inner.items() if len(inner) == 1 else (("", None),)
        if join not in ("all", "any") or not isinstance(nodes, list):
            return None
        return Group(
            join=join,
            children=[self.node(node) for node in nodes],
            is_negated=is_negated,
            is_root=is_root,
            offers_everybody=is_root and self.offers_everybody,
        )

    # --- leaves ------------------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Any, *, is_negated: bool) -> Row:
        if not isinstance(leaf, dict):
            raise Unshowable(_("This is not a condition yet."))
        if "field" in leaf:
            return self._field(leaf, is_negated)
        if "did" in leaf:
            return self._did(leaf, is_negated)
        if "has" in leaf:
            return self._has(leaf, is_negated)
        if "sequence" in leaf:
            return self._sequence(leaf, is_negated)
        for subject in self.catalogue.subjects:
            if subject.key in leaf:
                return self._member(leaf, subject.key, is_negated)
        raise Unshowable(_("No row shows this yet; it is kept as it is."))

    def _field(self, leaf: dict[str, Any], is_negated: bool) -> FieldRow:
        _only(leaf, COMPARISON_KEYS)
        spec = self.catalogue.field(leaf["field"])
        if spec is None:
            raise Unshowable(_("There is no field “%(field)s”.") % {"field": leaf["field"]})
        return FieldRow(
            is_negated=is_negated,
            template="segments/_builder_field.html",
            label=spec.label,
            icon=spec.icon,
            help=spec.help,
            comparison=self._comparison(leaf, spec, at=""),
        )

    def _did(self, leaf: dict[str, Any], is_negated: bool) -> DidRow:
        _only(leaf, {"did", "where", "count", "first", "latest", "total", "when"})
        kinds, is_single = self._kinds(leaf["did"])
        latest = leaf.get("latest")
        return DidRow(
            is_negated=is_negated,
            template="segments/_builder_did.html",
            details_template="segments/_builder_did_details.html",
            label=_("Activity"),
            icon="activity",
            kinds=kinds,
            is_single=is_single,
            where=self._where(leaf.get("where", []), "where", "activity", _("with"), _("detail")),
            often=self._often(leaf, of_activities=True),
            latest=None
            if latest is None
            else self._where(latest, "latest", "activity", _("the latest has"), _("detail of the latest")),
            when=self._when(leaf.get("when")),
        )

    def _has(self, leaf: dict[str, Any], is_negated: bool) -> HasRow:
        _only(leaf, {"has", "where", "count"})
        related = self.catalogue.related(leaf["has"])
        if related is None:
            raise Unshowable(_("No row shows this yet; it is kept as it is."))
        return HasRow(
            is_negated=is_negated,
            template="segments/_builder_has.html",
            details_template="segments/_builder_has_details.html",
            label=related.label,
            icon=related.icon,
            subject=related.key,
            where=self._where(leaf.get("where", []), "where", related.key, _("with"), _("detail")),
            often=self._often(leaf, of_activities=False),
        )

    def _sequence(self, leaf: dict[str, Any], is_negated: bool) -> SequenceRow:
        _only(leaf, {"sequence", "gap", "when"})
        steps = leaf["sequence"]
        if not isinstance(steps, list) or not all(isinstance(step, dict) and "did" in step for step in steps):
            raise Unshowable(_("A sequence is a list of steps."))
        drawn = []
        for place, step in enumerate(steps):
            _only(step, {"did", "where"})
            kinds, is_single = self._kinds(step["did"])
            at = f"sequence[{place}]."
            where = self._where(step.get("where", []), "where", "activity", _("with"), _("detail"), at=at)
            drawn.append(Step(kinds, is_single, f"{at}did", where, can_go=len(steps) > 1))
        gap = leaf.get("gap")
        if gap is not None:
            gap = self._value(_object(gap, {"value", "unit"}), self.catalogue.moment(""), "amount", at="gap.")
        return SequenceRow(
            is_negated=is_negated,
            template="segments/_builder_sequence.html",
            details_template="segments/_builder_sequence_details.html",
            label=_("One after the other"),
            icon="arrow-ramp-right",
            steps=drawn,
            gap=gap,
            when=self._when(leaf.get("when")),
            has_other_start=False,
        )

    def _member(self, leaf: dict[str, Any], key: str, is_negated: bool) -> MemberRow:
        subject = next(subject for subject in self.catalogue.subjects if subject.key == key)
        _only(leaf, {key, "state"} if subject.states else {key})
        slug = leaf[key]
        if not isinstance(slug, str):
            raise Unshowable(_("A name in letters belongs here."))
        known = self.catalogue.members(key)
        state = leaf.get("state")
        states = [
            Choice("", _("in any state"), state is None),
            *(Choice(one, label, one == state) for one, label in subject.states),
        ]
        if state is not None and state not in dict(subject.states):
            raise Unshowable(_("There is no state “%(state)s”.") % {"state": state})
        options = [Choice(one, label, one == slug) for one, label in known] if len(known) <= MOST_OPTIONS else []
        if slug and options and slug not in dict(known):
            options = [Choice(slug, slug, True), *options]
        return MemberRow(
            is_negated=is_negated,
            template="segments/_builder_member.html",
            label=subject.label,
            icon=subject.icon,
            help=subject.help,
            subject=key,
            slug=slug,
            shown=str(dict(known).get(slug, slug)),
            options=options,
            states=states if subject.states else [],
        )

    # --- parts -------------------------------------------------------------------------------------------------------

    def _kinds(self, did: Any) -> tuple[list[Choice], bool]:
        """Chips of the kinds, and whether a single one is written as text."""
        kinds = did if isinstance(did, list) else [did]
        if not all(isinstance(kind, str) for kind in kinds):
            raise Unshowable(_("A kind of activity is a name."))
        return [Choice(kind, self.catalogue.kind_label(kind)) for kind in kinds], isinstance(did, str)

    def _where(
        self, rows: Any, key: str, subject: str, word: StrOrPromise, add: StrOrPromise, *, at: str = ""
    ) -> WhereRows:
        if not isinstance(rows, list):
            raise Unshowable(_("Details are a list."))
        drawn = []
        for place, row in enumerate(rows):
            row_at = f"{at}{key}[{place}]."
            _only(_object(row, COMPARISON_KEYS), COMPARISON_KEYS)
            spec = self.catalogue.row_field(subject, row)
            if spec is None:
                raise Unshowable(_("There is no detail “%(field)s”.") % {"field": row.get("field")})
            is_property = spec.key.startswith("properties.")
            chosen = "properties." if is_property else spec.key
            fields = [Choice(one.key, one.label, one.key == chosen) for one in self.catalogue.row_fields(subject)]
            kinds = [Choice(kind, label, kind == spec.type) for kind, label in self.catalogue.property_kinds]
            named = Property(spec.key.removeprefix("properties."), kinds) if is_property else None
            drawn.append(self._comparison(row, spec, at=row_at, fields=fields, named=named))
        return WhereRows(key, f"{at}{key}.", drawn, word, add)

    def _comparison(
        self, part: dict[str, Any], spec: Spec, *, at: str, fields: Sequence[Choice] = (), named: Property | None = None
    ) -> Comparison:
        operators = self.catalogue.operators(spec.type)
        chosen = next((operator for operator in operators if operator.key == part.get("op")), None)
        if chosen is None:
            raise Unshowable(_("“%(label)s” has no operator “%(op)s”.") % {"label": spec.label, "op": part.get("op")})
        return Comparison(
            field=spec.key,
            label=_("How “%(label)s” is compared") % {"label": spec.label},
            at=at,
            shape=chosen.shape,
            operators=[Choice(one.key, one.label, one is chosen, one.shape) for one in operators],
            value=self._value(part, spec, chosen.shape, at=at),
            fields=fields,
            property=named,
        )

    def _when(self, when: Any) -> Period:
        operators = self.catalogue.when_operators()
        ever = Choice("", _("ever"), when is None, "ever")
        if when is None:
            shape, op, value = "ever", "", Value("none")
        else:
            part = _object(when, {"op", "value", "unit"})
            chosen = next((one for one in operators if one.key == part.get("op")), None)
            if chosen is None:
                raise Unshowable(_("There is no period “%(op)s”.") % {"op": part.get("op")})
            shape, op = chosen.shape, chosen.key
            value = self._value(part, self.catalogue.moment(_("When")), shape, at="when.")
        return Period(
            op, shape, [ever, *(Choice(one.key, one.label, one.key == op, one.shape) for one in operators)], value
        )

    def _often(self, leaf: dict[str, Any], *, of_activities: bool) -> Often:
        ways = [name for name in ("count", "first", "latest", "total") if name in leaf]
        if len(ways) > 1 or ("first" in leaf and leaf["first"] is not True):
            raise Unshowable(_("A condition says one of: how often, the first, the latest, a total."))
        count = _object(leaf["count"], {"op", "value"}) if "count" in leaf else None
        is_never = count == {"op": "exactly", "value": 0} and not isinstance(count["value"], bool)
        if count is not None and count.get("op") not in COUNT_OPERATORS:
            raise Unshowable(_("A count cannot be compared so."))
        way = ways[0] if ways else ""
        chosen = "never" if is_never else count["op"] if count else way
        words: list[tuple[str, StrOrPromise]] = [
            ("", _("at least once")),
            ("never", _("never")),
            ("at_least", _("at least …")),
            ("at_most", _("at most …")),
            ("exactly", _("exactly …")),
            ("more_than", _("more than …")),
            ("less_than", _("fewer than …")),
            ("between", _("between …")),
        ]
        if of_activities:
            words += [
                ("first", _("for the first time")),
                ("latest", _("the latest one")),
                ("total", _("adding up to")),
            ]
        return Often(
            choices=[Choice(value, label, value == chosen) for value, label in words],
            count=self._count(count) if count and not is_never else None,
            total=self._total(leaf["total"]) if "total" in leaf else None,
            is_never=is_never,
            is_first="first" in leaf,
        )

    def _count(self, count: dict[str, Any]) -> Count:
        shape = "numbers" if count["op"] == "between" else "number"
        number = self.catalogue.number(_("How many times"))
        return Count(count["op"], self._value(count, number, shape, at="count.", step="1", least=0))

    def _total(self, total: Any) -> Total:
        part = _object(total, {"of", "as", "op", "value"})
        of = part.get("of", "properties.")
        hows = {
            "sum": _("the sum"),
            "average": _("the average"),
            "smallest": _("the smallest"),
            "largest": _("the largest"),
        }
        words = {
            "exactly": _("is exactly"), "at_least": _("is at least"), "at_most": _("is at most"), "more_than": _("is more than"),
            "less_than": _("is less than"), "between": _("is between"),
        }  # fmt: skip
        op = part.get("op")
        if not (isinstance(of, str) and of.startswith("properties.") and part.get("as") in hows and op in words):
            raise Unshowable(_("This total has no row; it is kept as it is."))
        shapes = {key: "numbers" if key == "between" else "number" for key in words}
        return Total(
            of=of.removeprefix("properties."),
            hows=[Choice(key, label, key == part["as"]) for key, label in hows.items()],
            shape=shapes[op],
            operators=[Choice(key, label, key == op, shapes[key]) for key, label in words.items()],
            value=self._value(part, self.catalogue.number(_("Total")), shapes[op], at="total."),
        )

    def _value(
        self, part: dict[str, Any], spec: Spec, shape: str, *, at: str, step: str = "any", least: int | None = None
    ) -> Value:
        """The inputs for a value of this shape; Unshowable when the value stored has another one."""
        value, focus = part.get("value"), f"{at}value"
        if "unit" in part and shape != "amount":
            raise Unshowable(_("A unit does not belong here."))
        if shape == "none":
            if "value" in part:
                raise Unshowable(_("This operator takes no value."))
            return Value("none", at)
        if shape == "amount":
            units = self.catalogue.units(spec.type)
            unit = part.get("unit", "days")
            if unit not in dict(units):
                raise Unshowable(_("There is no unit “%(unit)s” here.") % {"unit": unit})
            box = Box(_number_text(value), _("Number"), focus, input="number", kind="number", step="1", least=1)
            return Value("amount", at, box, units=[Choice(key, words, key == unit) for key, words in units])
        if shape == "period":
            periods = [Choice(key, words, key == value) for key, words in self.catalogue.periods]
            if value is not None and value not in [one.value for one in periods]:
                raise Unshowable(_("There is no period “%(period)s”.") % {"period": value})
            return Value("one", at, Box(value or "", _("Period"), focus, options=periods))
        if shape == "days":
            box = Box(_number_text(value), _("Days"), focus, input="number", kind="number", step="1", least=0, most=365)
            return Value("days", at, box)
        if shape == "texts":
            return self._chips(value, spec, at)
        if shape in ("numbers", "times"):
            ends = [None, None] if value is None else value
            if not isinstance(ends, list) or len(ends) != 2:
                raise Unshowable(_("A range has two ends."))
            first, second = (
                self._box(end, spec, shape, f"{focus}[{place}]", label, is_element=True, step=step, least=least)
                for place, (end, label) in enumerate(zip(ends, (_("From"), _("To")), strict=True))
            )
            change, to = self._time(spec, ends, at, shape)
            return Value("pair", at, first, second, time_change=change, time_to=to)
        box = self._box(value, spec, shape, focus, spec.value_label, is_element=False, step=step, least=least)
        change, to = self._time(spec, [value], at, shape)
        return Value("one", at, box, time_change=change, time_to=to)

    def _chips(self, value: Any, spec: Spec, at: str) -> Value:
        values = [] if value is None else value
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise Unshowable(_("Several values in letters belong here."))
        labels = {key.lower(): label for key, label in spec.choices}
        chips = [Choice(one, labels.get(one.lower(), one)) for one in values]
        return Value("list", at, chips=chips, suggests=spec.suggests, focus=f"{at}value", label=spec.value_label)

    def _box(
        self,
        value: Any,
        spec: Spec,
        shape: str,
        focus: str,
        label: StrOrPromise,
        *,
        is_element: bool,
        step: str,
        least: int | None,
    ) -> Box:
        """The input that fits what the operator compares with."""
        if shape in ("number", "numbers"):
            text = _number_text(value)
            return Box(text, label, focus, "number", "number", is_element=is_element, step=step, least=least)
        if value is not None and not isinstance(value, str):
            raise Unshowable(_("“%(label)s” compares with text.") % {"label": spec.label})
        text = value or ""
        if shape in ("day", "time", "times"):
            if text == WANTS_TIME:
                return Box("", label, focus, "datetime-local", is_element=is_element)
            kind = (
                "date"
                if not text or BARE_DATE.match(text)
                else "datetime-local"
                if LOCAL_MOMENT.match(text)
                else "text"
            )
            return Box(text, label, focus, kind, is_element=is_element)
        if shape == "pattern":
            return Box(text, label, focus, is_element=is_element)
        if spec.choices and len(spec.choices) <= MOST_OPTIONS:
            options = [Choice(key, words, key.lower() == text.lower()) for key, words in spec.choices]
            if text and not any(one.is_chosen for one in options):
                options = [Choice(text, text, True), *options]
            # the document's own spelling stays
            options = [Choice(text, one.label, True) if one.is_chosen else one for one in options]
            return Box(text, label, focus, options=options, is_element=is_element)
        labels = {key.lower(): words for key, words in spec.choices}
        if labels:
            shown = str(labels.get(text.lower(), text))
            return Box(text, label, focus, shown=shown, suggests=spec.suggests, has_shadow=True, is_element=is_element)
        return Box(text, label, focus, suggests=spec.suggests, is_element=is_element)

    @staticmethod
    def _time(spec: Spec, values: Iterable[Any], at: str, shape: str) -> tuple[str, str]:
        """The switch between a whole day and a time of day, where both are allowed."""
        if spec.type == "date" or shape not in ("time", "times"):
            return "", ""
        has_time = any(isinstance(value, str) and value and not BARE_DATE.match(value) for value in values)
        return f"{at}time", "day" if has_time else "time"


WANTS_TIME = "T"  # stands in a value for “a time of day, not filled in yet”; never leaves the server


def _only(part: dict[str, Any], keys: Iterable[str]) -> None:
    unknown = sorted(set(part) - set(keys))
    if unknown:
        raise Unshowable(_("No row shows “%(key)s”.") % {"key": unknown[0]})


def _object(part: Any, keys: Iterable[str]) -> dict[str, Any]:
    if not isinstance(part, dict):
        raise Unshowable(_("An object with keys belongs here."))
    _only(part, keys)
    return part


def _number_text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unshowable(_("A number belongs here."))
    return repr(value)
