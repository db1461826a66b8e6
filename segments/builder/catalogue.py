"""The catalogue of the rule language as the builder shows it: labels, inputs, suggestions, and the picker's groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

from leads.models import ActivityKind
from leads.text import fold
from segments.conditions.fields import Catalogue as Language
from segments.conditions.fields import Field
from segments.conditions.operators import operators_for, property_readings
from segments.conditions.periods import DATE_UNITS, UNITS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

NOT_IN_WHEN = frozenset({"anniversary_in", "is_known", "is_unknown"})
PROPERTY = "properties."
MOST_SUGGESTIONS = 12
ICONS = {
    "contact": "user", "company": "building", "activity": "activity", "deal": "briefcase", "score": "gauge", "bant": "checklist",
    "consent": "mail-check", "in_segment": "users-group", "in_persona": "masks-theater", "in_program": "route",
}  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """An operator as the select shows it; `shape` is what it compares with (conditions.operators.Shape)."""

    key: str
    label: str
    shape: str


@dataclass(frozen=True)
class Spec:
    """A field as a row needs it; `key` as written at that place of the document."""

    key: str
    type: str
    label: StrOrPromise
    icon: str = "point"
    help: StrOrPromise = ""
    choices: Sequence[tuple[str, StrOrPromise]] = ()
    suggests: str = ""
    value_label: StrOrPromise = ""


@dataclass(frozen=True)
class Subject:
    """A membership leaf: in_segment, in_persona, in_program."""

    key: str
    label: StrOrPromise
    icon: str
    states: Sequence[tuple[str, StrOrPromise]]
    help: StrOrPromise = ""


@dataclass(frozen=True)
class Related:
    key: str
    label: StrOrPromise
    icon: str


@dataclass(frozen=True)
class PickerOption:
    value: str
    label: str
    help: str = ""
    words: str = ""
    icon: str = "point"

    @property
    def search(self) -> str:
        """Words that the picker looks in, besides those of the group: the label comes first, the key last."""
        return fold(f"{self.label} {self.help} {self.words} {self.value}")


@dataclass
class PickerGroup:
    label: str
    options: list[PickerOption] = field(default_factory=list)


@dataclass(frozen=True)
class Suggestion:
    value: str
    label: str


class Catalogue:
    """Read once per request: each table at most once, and only when a row asks."""

    def __init__(self) -> None:
        self.language = Language()
        self._kinds: dict[str, str] | None = None
        self._choices: dict[str, list[tuple[str, StrOrPromise]]] = {}

    # --- fields ------------------------------------------------------------------------------------------------------

    def field(self, key: Any) -> Spec | None:
        """A field that a leaf names directly."""
        found = self.language.get(key) if isinstance(key, str) and not self.language.is_of_rows(key) else None
        return None if found is None else self._spec(found, found.key, found.type)

    def row_field(self, subject: str, row: dict[str, Any]) -> Spec | None:
        """A field named inside `where`; a property takes the type that its operator and value ask for."""
        key = row.get("field")
        if not isinstance(key, str):
            return None
        if key == PROPERTY and subject == "activity":
            return Spec(key, reading_of(row), _("Property"), value_label=_("Value"))
        found = self.language.get(f"{subject}.{key}")
        if found is None:
            return None
        return self._spec(found, found.name, reading_of(row) if found.type == "property" else found.type)

    def row_fields(self, subject: str) -> list[Spec]:
        """What a detail of an activity or deal can be about; properties of activities have any name."""
        listed = [
            self._spec(one, one.name, one.type) for one in self.language.fields(subject) if one.type != "property"
        ]
        if subject == "activity":
            listed.append(Spec(PROPERTY, "text", _("property …")))
        return listed

    def _spec(self, found: Field, key: str, as_type: str) -> Spec:
        subject = found.key.partition(".")[0]
        return Spec(
            key=key,
            type=as_type,
            label=found.label,
            icon=_icon(found, subject),
            help=found.help,
            choices=self._choices_of(found),
            suggests=found.key if found.choices or found.examples else "",
            value_label=_("Value of “%(label)s”") % {"label": found.label},
        )

    def _choices_of(self, found: Field) -> list[tuple[str, StrOrPromise]]:
        if found.choices is None:
            return []
        if found.key not in self._choices:
            self._choices[found.key] = list(found.choices())
        return self._choices[found.key]

    @staticmethod
    def number(label: StrOrPromise) -> Spec:
        return Spec("", "number", label, value_label=label)

    @staticmethod
    def moment(label: StrOrPromise) -> Spec:
        return Spec("", "moment", label, value_label=label)

    # --- operators ---------------------------------------------------------------------------------------------------

    @staticmethod
    def operators(type: str) -> list[Operator]:
        return _operators(type, get_language() or "")

    @staticmethod
    def when_operators() -> list[Operator]:
        """A period of activities, in words that stand alone: “in the last”."""
        words = {
            "on": _("on"), "not_on": _("not on"), "before": _("before"), "after": _("after"), "between": _("between"),
            "in_last": _("in the last"), "not_in_last": _("not in the last"), "in_next": _("in the next"),
            "more_than_ago": _("longer ago than"), "this": pgettext("period", "this"), "last": pgettext("period", "last"),
            "next": pgettext("period", "next"),
        }  # fmt: skip
        listed = [one for one in _operators("moment", get_language() or "") if one.key not in NOT_IN_WHEN]
        return [Operator(one.key, words.get(one.key, one.label), one.shape) for one in listed]

    @staticmethod
    def units(type: str) -> list[tuple[str, str]]:
        words = {
            "minutes": _("minutes"), "hours": _("hours"), "days": _("days"), "weeks": _("weeks"), "months": _("months"),
            "quarters": _("quarters"), "years": _("years"),
        }  # fmt: skip
        return [(unit, words[unit]) for unit in (DATE_UNITS if type == "date" else UNITS)]

    @property
    def periods(self) -> list[tuple[str, str]]:
        return [("week", _("week")), ("month", _("month")), ("quarter", _("quarter")), ("year", _("year"))]

    @property
    def property_kinds(self) -> list[tuple[str, str]]:
        return [
            ("text", _("as text")), ("number", _("as a number")), ("yes_no", _("as yes/no")), ("iso", _("as a date")),
            ("choices", _("as a list")),
        ]  # fmt: skip

    # --- rows and memberships ----------------------------------------------------------------------------------------

    def related(self, key: Any) -> Related | None:
        found = self.language.related(key) if isinstance(key, str) else None
        return (
            None
            if found is None
            else Related(found.key, _("Has a %(words)s") % {"words": found.words}, ICONS.get(found.key, "list"))
        )

    @property
    def subjects(self) -> list[Subject]:
        words = {"in_segment": _("In a segment"), "in_persona": _("Is a persona"), "in_program": _("In a program")}
        return [
            Subject(
                one.key,
                words.get(one.key) or capfirst(str(one.label)),
                ICONS.get(one.key, "point"),
                [(state, state.replace("_", " ")) for state in one.states],
            )
            for one in self.language.subjects()
        ]

    def members(self, key: str) -> list[tuple[str, str]]:
        """Slug and name of every segment, persona or program that a membership leaf can name."""
        subject = self.language.subject(key)
        return [] if subject is None else list(self.language.slugs(subject).items())

    def kinds(self) -> dict[str, str]:
        """Slug and label of the kinds of activity. One statement over a small table."""
        if self._kinds is None:
            self._kinds = dict(ActivityKind.objects.order_by("is_custom", "label").values_list("slug", "label"))
        return self._kinds

    def kind_label(self, kind: str) -> str:
        return _("anything") if kind == "any" else self.kinds().get(kind, kind)

    # --- the picker and the suggestions ------------------------------------------------------------------------------

    def picker(self) -> list[PickerGroup]:
        """Everything a row can be about, in groups: fields by theirs, custom fields, activities, deals, memberships."""
        groups: dict[str, PickerGroup] = {}

        def put(group: StrOrPromise, *option: StrOrPromise) -> None:
            found = groups.setdefault(str(group), PickerGroup(str(group)))
            found.options.append(PickerOption(*map(str, option)))

        listed = self.language.fields()
        for is_custom in (False, True):
            for one in listed:
                if (".custom." in one.key) is is_custom:
                    group, help = (_("Custom fields"), one.help or one.group) if is_custom else (one.group, one.help)
                    put(group, one.key, one.label, help, one.group, _icon(one, one.key.partition(".")[0]))
        activity, icon = _("Activity"), ICONS["activity"]
        put(activity, "did:any", _("Did anything"), _("any activity, how often and when"), "activity behaviour", icon)
        for slug, label in self.kinds().items():
            put(activity, f"did:{slug}", label, "", "did activity", icon)
        help = _("activities in an order, with a gap at most")
        put(activity, "sequence", _("One after the other"), help, "sequence then", "arrow-ramp-right")
        for related in self.language.all_related():
            icon, words = ICONS.get(related.key, "list"), {"words": related.words}
            put(related.label, f"has:{related.key}", _("Has a %(words)s") % words, "", related.key, icon)
            for value, status in self._statuses(related.key):
                label = _("Has a %(words)s: %(status)s") % {**words, "status": status}
                put(related.label, f"has:{related.key}:{value}", label, "", related.key, icon)
        for subject in self.subjects:
            put(_("Belongs to"), subject.key, subject.label, subject.help, "", subject.icon)
        put(_("By hand"), "json", _("Write it as JSON"), _("for what no row shows"), "", "braces")
        return list(groups.values())

    def _statuses(self, subject: str) -> list[tuple[str, StrOrPromise]]:
        found = next((one for one in self.language.fields(subject) if one.name == "status"), None)
        return [] if found is None else self._choices_of(found)

    def suggestions(self, key: str, text: str) -> list[Suggestion]:
        """What fits the text typed so far: choices by label, else values from the data. At most one statement."""
        if key == "did":
            return _fitting([("any", _("anything")), *self.kinds().items()], text)
        if self.language.subject(key):
            return _fitting(self.members(key), text)
        if key == "properties":
            names = [
                one.name.removeprefix(PROPERTY) for one in self.language.fields("activity") if one.type == "property"
            ]
            return _fitting([(name, name) for name in names], text)
        found = self.language.get(key)
        if found is None:
            return []
        if found.choices:
            return _fitting([(value, str(label)) for value, label in self._choices_of(found)], text)
        if found.examples is None:
            return []
        return [Suggestion(value, value) for value in list(found.examples(text))[:MOST_SUGGESTIONS]]


def reading_of(row: dict[str, Any]) -> str:
    """The type under which the operator and value read a property (as conditions.check does it)."""
    readings = property_readings(str(row.get("op")))
    if readings == ["any"] or not readings:
        return "text"
    if len(readings) == 1:
        return readings[0]
    value = row.get("value")
    samples = [one for one in (value if isinstance(value, list) else [value]) if one not in (None, "")]
    is_number = bool(samples) and isinstance(samples[0], int | float) and not isinstance(samples[0], bool)
    return "number" if is_number and "number" in readings else "iso" if "iso" in readings else readings[0]


def _fitting(listed: Sequence[tuple[str, StrOrPromise]], text: str) -> list[Suggestion]:
    """Those whose label or value has the text; what starts with it first."""
    wanted = fold(text.strip())
    found = [(value, str(label)) for value, label in listed if wanted in fold(str(label)) or wanted in fold(value)]
    found.sort(key=lambda pair: not (fold(pair[1]).startswith(wanted) or fold(pair[0]).startswith(wanted)))
    return [Suggestion(value, label) for value, label in found[:MOST_SUGGESTIONS]]


@lru_cache(maxsize=64)
def _operators(type: str, language_code: str) -> list[Operator]:
    """Kept per language: the words are the same for every field of a type."""
    special = {
        "this": pgettext("period", "is this"),
        "last": pgettext("period", "is last"),
        "next": pgettext("period", "is next"),
        "anniversary_in": _("has its anniversary in"),
    }
    return [
        Operator(key, special.get(key) or _short_words(row.words), row.shape)
        for key, row in operators_for(type).items()
    ]


def _short_words(words: str | Promise) -> str:
    """“{label} is more than {value} ago” as the select says it: “is more than … ago”."""
    text = str(words).replace("{label}", "").partition("{first}")[0].strip()
    text = re.sub(r"\{value\}$", "", text).replace("{value}", "…")
    return re.sub(r"\s+", " ", text).strip()


def _icon(found: Field, subject: str) -> str:
    if found.flavour in ("country", "tags", "email", "url", "phone", "money"):
        return {
            "country": "map-pin",
            "tags": "tags",
            "email": "mail",
            "url": "link",
            "phone": "phone",
            "money": "coin",
        }[found.flavour]
    if found.type in ("date", "moment"):
        return "calendar"
    return "adjustments" if ".custom." in found.key else ICONS.get(subject, "point")
