"""The catalogue: what a rule may speak of. Rooms register fields, related rows and memberships in AppConfig.ready.

A field says how it is read in SQL (an expression, null or empty when unknown) and in Python (from the facts of one contact);
operators.py does the rest. Example of a higher room, a number in a table with one row per contact:

    register_field(Field(
        key="score.default.total", type="number", label=_("Score"), group=_("Score"),
        sql=lambda as_type, scope: Sql("score.total"),
        within=lambda condition, scope: sql(
            "EXISTS (SELECT 1 FROM scoring_score score WHERE score.contact_id = contact.id AND {})", condition),
        value=lambda facts, as_type, moment: …,
        facets=frozenset({Mark.Facet.DEFINITION}),
    ))

Fields that come and go with rows of a table are a family: `register_family(Family("score.", load=…))`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, LiteralString, TypeVar

from django.db import connection
from django.utils.translation import gettext_lazy as _

from leads.queries_prepared import prepared_cursor
from leads.text import fold
from segments.conditions.fragment import NOTHING, Sql, sql
from segments.conditions.periods import Moment

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from segments.conditions.facts import Facts
    from segments.conditions.tree import MemberLeaf
else:
    StrOrPromise = str

Found = TypeVar("Found")

TYPES = ("text", "number", "yes_no", "choice", "choices", "date", "moment", "property")


@dataclass(frozen=True)
class Scope:
    """For whom and when a rule is compiled.

    `contacts` None is everybody. `is_stored`: memberships in segments and personas are read as stored, not worked out afresh.
    `has_company`: the statement joins the contact's company as `company`. `is_listed`: tests on rows stand in a list of tests, where what
    lies in another table is better asked as a set than tied to the row: a tied search forbids parallel workers. `activities`: what searches
    of activities read: the table, or a WITH part that holds what a batch has of them (`near_activities`).
    """

    moment: Moment
    contacts: list[int] | None = None
    is_stored: bool = False
    has_company: bool = False
    catalogue: Catalogue | None = None
    is_listed: bool = False
    activities: LiteralString = "leads_activity"

    def only(self, column: LiteralString) -> Sql:
        """` AND column = ANY (the batch)`; nothing for everybody. To-many leaves need it: the planner does not carry it inside."""
        return (
            NOTHING
            if self.contacts is None
            else sql(" AND {} = ANY ({})", Sql(column), Sql("%s::bigint[]", (self.contacts,)))
        )

    def among(self, column: LiteralString) -> Sql:
        """The same as a join, for tables with an index on the column and another key: as a list it is sorted anew for each of those."""
        if self.contacts is None:
            return NOTHING
        return sql(" AND {} IN (SELECT unnest({}))", Sql(column), Sql("%s::bigint[]", (self.contacts,)))

    def has_later(self, what: Literal["activities", "moves"]) -> bool:
        """Whether activities or stage moves lie after `at`, so that what is summed or stored as of now needs a closer look."""
        return self.catalogue is None or self.catalogue.has_later(what, self.moment.at, self.contacts)


class Either(tuple[Any, ...]):
    """A value with several spellings, such as an owner's name and e-mail: an operator holds when it holds for one of them."""


Choices = Callable[[], Iterable[tuple[str, StrOrPromise]]]


@dataclass(frozen=True)
class Field:
    """One thing that a condition can compare.

    `sql(as_type, scope)` is the expression, over the aliases `contact`, `company` (both by `within`), `activity` or `deal`;
    `as_type` equals `type` but for a property. An expression of type choices is an array of folded texts.
    `within(condition, scope)` puts a condition on a row elsewhere into an EXISTS; negative operators negate the whole.
    `people(condition, scope)`, where there is one, selects the ids of the same contacts, each once, without the contacts' table.
    `value(row, as_type, moment)` is the same in Python: `row` is the contact's Facts, in a `where` one of its rows.
    `is_lower`: its text is stored in lower case. `is_closed`: no other choice fits. `flavour` refines the input for people:
    country, money, email, url, phone, long_text, tags.
    """

    key: str
    type: str
    label: StrOrPromise
    group: StrOrPromise
    sql: Callable[[str, Scope], Sql]
    value: Callable[[Any, str, Moment], Any]
    help: StrOrPromise = ""
    within: Callable[[Sql, Scope], Sql] | None = None
    people: Callable[[Sql, Scope], Sql] | None = None
    choices: Choices | None = None
    is_closed: bool = False
    normal: Callable[[str], str] | None = None
    is_lower: bool = False
    flavour: str = ""
    facets: frozenset[int] = frozenset()
    reads: frozenset[str] = frozenset()
    examples: Callable[[str], Sequence[str]] | None = None

    @property
    def name(self) -> str:
        """As written inside `where`: without the subject."""
        return self.key.partition(".")[2]


@dataclass(frozen=True)
class Family:
    """Fields below one prefix that are not known beforehand: read from a table by `load`, or any key at all by `make`.

    `load` is given the catalogue that asks, which keeps what several families read (`Catalogue.once`). With `make`, it only lists what
    there is to choose from: it may look through many rows, and a rule does not wait for that.
    `stamp` changes whenever what `load` gives may mean something else; trees that are kept are read again then.
    """

    prefix: str
    load: Callable[[Catalogue], Mapping[str, Field]]
    make: Callable[[str], Field] | None = None
    stamp: Callable[[], object] | None = None


@dataclass(frozen=True)
class Related:
    """Rows of a contact that `has` counts. `source` is FROM … WHERE up to the link with the contact; `link` the column with its id.

    `is_sure`: the link is a foreign key.
    """

    key: str
    label: StrOrPromise
    words: StrOrPromise  # "deal"
    source: Callable[[Scope], Sql]
    link: LiteralString
    rows: Callable[[Facts, Moment], Sequence[Any]]
    facets: frozenset[int]
    is_sure: bool = False


@dataclass(frozen=True)
class Subject:
    """A membership leaf such as {"in_program": slug}. `sql` is one EXISTS (…) over `contact`, so that negation stays exact.

    `people`, where there is one, selects the ids of the same contacts, each once, without that alias. `archived`: what is out of use;
    a rule cannot name it either, and is told why.
    """

    key: str
    label: StrOrPromise
    words: StrOrPromise  # "is in program {name}"
    node: str  # what reads() calls it: "program" gives "program:<slug>"
    choices: Choices
    sql: Callable[[MemberLeaf, Scope], Sql]
    holds: Callable[[MemberLeaf, Facts, Moment], bool]
    actual: Callable[[MemberLeaf, Facts, Moment], Any] | None = None
    states: tuple[str, ...] = ()
    facets: frozenset[int] = frozenset()
    people: Callable[[MemberLeaf, Scope], Sql] | None = None
    archived: Choices | None = None


_fields: dict[str, Field] = {}
_families: dict[str, Family] = {}
_related: dict[str, Related] = {}
_subjects: dict[str, Subject] = {}


def register_field(found: Field) -> None:
    if found.type not in TYPES:
        raise ValueError(f"{found.key}: no such type {found.type}")
    _fields[found.key] = found


def register_family(family: Family) -> None:
    _families[family.prefix] = family


def families_stamp() -> tuple[object, ...]:
    """The stamps of all families that have one. A statement for each."""
    return tuple(family.stamp() for family in _families.values() if family.stamp is not None)


def register_related(related: Related) -> None:
    _related[related.key] = related


def register_subject(subject: Subject) -> None:
    _subjects[subject.key] = subject


@dataclass
class Catalogue:
    """The registered fields together with what the database adds; each table is read once per catalogue, and only when asked for.

    Make one per request or beat: custom fields may change between them. `reads_open_stays`: memberships that are read as stored are
    the open ones, whenever they began; the turn keeps these and works them in order.
    """

    reads_open_stays: bool = False
    _loaded: dict[str, Mapping[str, Field]] = field(default_factory=dict)
    _once: dict[str, Any] = field(default_factory=dict)
    _kinds: dict[str, list[int]] | None = None
    _slugs: dict[str, dict[str, str]] = field(default_factory=dict)
    _choices: dict[str, dict[str, str]] = field(default_factory=dict)
    _later: dict[tuple[str, datetime, tuple[int, ...] | None], bool] = field(default_factory=dict)

    def get(self, key: str) -> Field | None:
        if key in _fields:
            return _fields[key]
        for family in _families.values():
            if key.startswith(family.prefix) and len(key) > len(family.prefix):
                return self._load(family).get(key) if family.make is None else family.make(key)
        return None

    def _load(self, family: Family) -> Mapping[str, Field]:
        if family.prefix not in self._loaded:
            self._loaded[family.prefix] = family.load(self)
        return self._loaded[family.prefix]

    def once(self, what: str, read: Callable[[], Found]) -> Found:
        """What `read` gives, read once for this catalogue."""
        if what not in self._once:
            self._once[what] = read()
        found: Found = self._once[what]
        return found

    def fields(self, subject: str | None = None) -> list[Field]:
        """Every field of the rows of one subject (activity, deal), else those a leaf can name directly."""
        rows = {"activity", *_related}
        found = [*_fields.values(), *(each for family in _families.values() for each in self._load(family).values())]
        if subject is not None:
            return [each for each in found if each.key.partition(".")[0] == subject]
        return [each for each in found if each.key.partition(".")[0] not in rows]

    def is_of_rows(self, key: str) -> bool:
        return key.partition(".")[0] in {"activity", *_related}

    def related(self, key: str) -> Related | None:
        return _related.get(key)

    def all_related(self) -> list[Related]:
        return list(_related.values())

    def subject(self, key: str) -> Subject | None:
        return _subjects.get(key)

    def subjects(self) -> list[Subject]:
        return list(_subjects.values())

    def slugs(self, subject: Subject) -> dict[str, str]:
        """Slug and name of everything the membership can name. One statement."""
        if subject.key not in self._slugs:
            self._slugs[subject.key] = {slug: str(label) for slug, label in subject.choices()}
        return self._slugs[subject.key]

    def choices(self, spec: Field) -> dict[str, str]:
        """Choice, folded, and its label, of a field that offers some. One statement at most."""
        if spec.key not in self._choices:
            listed = spec.choices() if spec.choices is not None else ()
            self._choices[spec.key] = {fold(choice): str(label) for choice, label in listed}
        return self._choices[spec.key]

    def learn(self, subject: str, names: Mapping[str, str]) -> None:
        """Names that the page has read already, so that they are not read again for sentences."""
        self._slugs[subject] = dict(names)

    def kind_ids(self, kinds: Iterable[str]) -> list[int]:
        """Ids of the kinds; a kind that was never seen has none. One statement over a small table."""
        if self._kinds is None:
            self._kinds = {}
            with prepared_cursor() as cursor:
                cursor.execute("SELECT slug, id FROM leads_activitykind")
                for slug, number in cursor.fetchall():
                    self._kinds.setdefault(fold(slug), []).append(number)
        return sorted(number for kind in {fold(kind) for kind in kinds} for number in self._kinds.get(kind, ()))

    def has_later(
        self, what: Literal["activities", "moves"], at: datetime, contacts: Sequence[int] | None = None
    ) -> bool:
        """Whether activities or stage moves lie after that moment; of a few contacts only theirs matter. One statement for each question."""
        few = tuple(contacts) if contacts is not None and what == "activities" and len(contacts) <= FEW else None
        place = (what, at, few)
        if place not in self._later:
            text = _LATER[what] if few is None else _LATER_OF_A_FEW
            params: list[Any] = [at] if few is None else [list(few), at]
            with connection.cursor() if few is None else prepared_cursor() as cursor:
                cursor.execute(text, params)
                self._later[place] = bool(cursor.fetchone()[0])
        return self._later[place]


FEW = 200  # contacts: their signals are found in 0.1 ms, where the newest month of everybody's activities may take 30
_LATER_OF_A_FEW = "SELECT EXISTS (SELECT FROM leads_signal WHERE contact_id = ANY (%s::bigint[]) AND last_at > %s)"
# max() and not EXISTS: whatever the planner believes about the newest rows, it reads them by the index on time.
_LATER = {
    "activities": "SELECT max(occurred_at) IS NOT NULL FROM leads_activity WHERE occurred_at > %s",
    "moves": "SELECT EXISTS (SELECT FROM leads_stage stage JOIN leads_stagemove move ON move.to_stage = stage.slug WHERE move.moved_at > %s)",
}


def fields() -> list[Field]:
    """Every field that a leaf can name directly, in the order of the catalogue. One statement per family."""
    return Catalogue().fields()


GROUP_CONTACT = _("Contact")
GROUP_COMPANY = _("Company")
GROUP_ACTIVITY = _("Activity")
GROUP_DEAL = _("Deal")
