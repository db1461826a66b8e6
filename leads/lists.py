"""The lists of contacts, companies and deals: search, filters, order, keyset pages, and counts that are cheap or said to be estimates."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import (
    Exists,
    F,
    Func,
    Max,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.db.models.functions import Coalesce, Concat, Lower
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import countries, panels, queries
from leads.models import Company, Contact, CustomField, Deal, DealContact, Owner, Signal, Stage, StageMove
from leads.panels import StrOrPromise
from leads.text import clean, fold

PAGE_SIZE = 50
COUNT_UP_TO = 10_000  # an exact count beyond costs a scan on each page
MATCHING_COMPANIES = 200  # companies whose name matches a search for people; beyond, the search is too wide to help

Row = TypeVar("Row", bound=Model)


# --- Keyset pages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """An order that an index serves: all keys in one direction, the last one unique."""

    key: str
    label: StrOrPromise
    by: tuple[str | Func, ...]
    descending: bool
    # a cursor is data from the address bar: each key's type is checked before it meets the database
    types: tuple[type, ...]

    def expressions(self) -> list[Combinable]:
        return [F(key) if isinstance(key, str) else key for key in self.by]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in order; `previous` and `next` are cursors, empty where there is nothing."""

    rows: list[Row]
    previous: str = ""
    next: str = ""


def page(rows: QuerySet[Row], order: Order, *, after: str = "", before: str = "", size: int = PAGE_SIZE) -> Page[Row]:
    """The page behind or before a cursor, the first one for none or a spoilt one. One statement that reads size + 1 rows."""
    backwards = bool(before and not after)
    position = _position(before if backwards else after, order)
    keys = {f"order_{number}": expression for number, expression in enumerate(order.expressions())}
    falling = order.descending != backwards
    rows = rows.annotate(**keys).order_by(*(F(key).desc() if falling else F(key).asc() for key in keys))
    if position is not None:
        comparison = TupleLessThan if falling else TupleGreaterThan
        rows = rows.filter(comparison(Tuple(*order.expressions()), position))
    found = list(rows[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    if not found:
        return Page([])
    first, last = _cursor(found[0], keys), _cursor(found[-1], keys)
    if backwards:
        return Page(found, previous=first if has_more else "", next=last if position is not None else "")
    return Page(found, previous=first if position is not None else "", next=last if has_more else "")


def _cursor(row: Model, keys: Mapping[str, object]) -> str:
    values = [getattr(row, key) for key in keys]
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str, order: Order) -> tuple[Any, ...] | None:
    """The values of a cursor; None for an empty or spoilt one."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(order.types):
            return None
        position = tuple(
            datetime.fromisoformat(value) if kind is datetime else value
            for value, kind in zip(values, order.types, strict=True)
        )
    except (ValueError, TypeError, binascii.Error):
        return None
    if any(type(value) is not kind for value, kind in zip(position, order.types, strict=True)):
        return None
    if any(isinstance(value, str) and "\x00" in value for value in position):
        return None
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in position):
        return None
    if any(isinstance(value, datetime) and value.tzinfo is None for value in position):
        return None
    return position


# --- Counts ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """How many rows: exactly, more than that many, or about that many."""

    number: int
    kind: Literal["exactly", "more_than", "about"] = "exactly"


def count(rows: QuerySet[Row], *, is_everything: bool, page: Page[Row] | None = None) -> Count:
    """Exact up to COUNT_UP_TO. Beyond: the planner's estimate for the whole table, “more than” for a part.

    No statement when the page shows everything, else one or two.
    """
    if page is not None and not page.previous and not page.next:
        return Count(len(page.rows))
    found = rows.order_by()[: COUNT_UP_TO + 1].count()
    if found <= COUNT_UP_TO:
        return Count(found)
    estimate = queries.estimated_rows(rows.model._meta.db_table) if is_everything else 0
    return Count(estimate, "about") if estimate > COUNT_UP_TO else Count(COUNT_UP_TO, "more_than")


# --- Search ----------------------------------------------------------------------------------------------------------------


def contact_text() -> Lower:
    """What a search for people looks at, spelt exactly like the trigram index leads_contact_search."""
    return Lower(
        Concat(
            "first_name",
            Value(" "),
            "last_name",
            Value(" "),
            Coalesce("email", Value("")),
            Value(" "),
            Coalesce("external_id", Value("")),
        )
    )


def words_of(text: str) -> list[str]:
    """The words of a search, folded; at most eight, no NUL (PostgreSQL stores none)."""
    return fold(clean(text.replace("\x00", " "))).split()[:8]


def search_contacts(contacts: QuerySet[Contact], words: Sequence[str]) -> QuerySet[Contact]:
    """Contacts with every word in name, address or external id, and the people of companies whose name has them.

    One statement now (names of companies, at most MATCHING_COMPANIES), so that the query itself is two index scans joined by OR.
    """
    if not words:
        return contacts
    companies = list(search_companies(Company.objects.all(), words).values_list("pk", flat=True)[:MATCHING_COMPANIES])
    matches = Q()
    for word in words:
        matches &= Q(searched__contains=word)
    return contacts.alias(searched=contact_text()).filter(
        matches | Q(company_id__in=companies) if companies else matches
    )


def search_companies(companies: QuerySet[Company], words: Sequence[str]) -> QuerySet[Company]:
    """Companies with every word in their name, by the trigram index."""
    companies = companies.alias(searched=Lower("name"))
    for word in words:
        companies = companies.filter(searched__contains=word)
    return companies


# --- Contacts --------------------------------------------------------------------------------------------------------------

NEWEST = Order("newest", gettext_lazy("Newest first"), ("created_at", "id"), True, (datetime, int))
BY_NAME = Order(
    "name", gettext_lazy("By name"), (Lower("last_name"), Lower("first_name"), "id"), False, (str, str, int)
)
CONTACT_ORDERS = {order.key: order for order in (NEWEST, BY_NAME)}
NOBODY = "none"  # the value of the filter “owner” for contacts without one


def stage_choices() -> list[tuple[str, StrOrPromise]]:
    return [(stage.slug, stage.label) for stage in Stage.objects.all()]


def owner_choices() -> list[tuple[str, StrOrPromise]]:
    owners = Owner.objects.order_by(Lower("name")).values_list("pk", "name")
    return [(NOBODY, _("Nobody")), *((str(pk), name) for pk, name in owners)]


def _by_owner(contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
    if value == NOBODY:
        return contacts.filter(owner=None)
    return contacts.filter(owner=int(value)) if value.isascii() and value.isdigit() else contacts.none()


def _by_company(contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
    return contacts.filter(company=int(value)) if value.isascii() and value.isdigit() else contacts.none()


def _by_deal(contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
    listed = DealContact.objects.filter(contact=OuterRef("pk"), deal__status=value)
    return contacts.filter(Exists(listed))


def _by_record(contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
    """`2026-11-01`: recorded since the day began, in the workspace's zone."""
    try:
        since = parse_date(value)
    except ValueError:
        since = None
    if since is None:
        return contacts.none()
    return contacts.filter(created_at__gte=datetime.combine(since, time(), timezone.get_current_timezone()))


def _by_arrival(contacts: QuerySet[Contact], value: str) -> QuerySet[Contact]:
    """`mql:2026-11-01`: moved to that stage since the day began, in the workspace's zone."""
    stage, _colon, day = value.partition(":")
    try:
        since = parse_date(day)
    except ValueError:
        since = None
    if since is None:
        return contacts.none()
    start = datetime.combine(since, time(), timezone.get_current_timezone())
    moves = StageMove.objects.filter(to_stage=stage, moved_at__gte=start)
    return contacts.filter(pk__in=moves.values("contact_id"))


BUILT_IN_FILTERS = (
    panels.ListFilter(
        "stage", gettext_lazy("Stage"), stage_choices, lambda contacts, value: contacts.filter(stage=value), order=10
    ),
    panels.ListFilter("owner", gettext_lazy("Owner"), owner_choices, _by_owner, order=20),
    panels.ListFilter("deal", gettext_lazy("Has a deal that is"), lambda: Deal.Status.choices, _by_deal, order=60),
)
# The choices of these come together from one statement, queries.frequent_values.
VALUE_FILTERS: dict[str, tuple[StrOrPromise, Callable[[QuerySet[Contact], str], QuerySet[Contact]]]] = {
    "source": (gettext_lazy("Source"), lambda contacts, value: contacts.filter(source=value)),
    "country": (gettext_lazy("Country"), lambda contacts, value: contacts.filter(country=value)),
    "tags": (gettext_lazy("Tag"), lambda contacts, value: contacts.filter(tags__contains=[value])),
}
# Reached by links from other pages only, shown as a chip that can be taken off.
LINKED_FILTERS: dict[str, tuple[StrOrPromise, Callable[[QuerySet[Contact], str], QuerySet[Contact]]]] = {
    "company": (gettext_lazy("Company"), _by_company),
    "arrived": (gettext_lazy("Arrived in stage"), _by_arrival),
    "recorded": (gettext_lazy("Recorded since"), _by_record),
}


@dataclass(frozen=True)
class ContactQuery:
    """What somebody asked of the contact list, read from the address bar; anything unknown there is left out."""

    text: str = ""
    order: Order = NEWEST
    chosen: dict[str, str] = field(default_factory=dict)  # filter -> value

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> ContactQuery:
        chosen = {key: clean(parameters.get(key, "").replace("\x00", ""))[:300] for key in filter_functions()}
        return cls(
            text=clean(parameters.get("q", "").replace("\x00", " "))[:200],
            order=CONTACT_ORDERS.get(parameters.get("order", ""), NEWEST),
            chosen={key: value for key, value in chosen.items() if value},
        )

    @property
    def is_everything(self) -> bool:
        return not self.text and not self.chosen

    @property
    def linked(self) -> dict[str, str]:
        """The chosen filters that have no control of their own."""
        return {key: value for key, value in self.chosen.items() if key in LINKED_FILTERS}

    def contacts(self) -> QuerySet[Contact]:
        """Everybody asked for, unordered. A search asks one statement before (names of companies)."""
        contacts = search_contacts(Contact.objects.all(), words_of(self.text))
        functions = filter_functions()
        for key, value in self.chosen.items():
            try:
                contacts = functions[key](contacts, value)
            except (ValueError, ValidationError):
                return contacts.none()  # a value that the filter cannot read fits nobody
        return contacts

    def link(self, **changes: str) -> str:
        """`?…` for the same question with some parameters changed, or taken off where the value is empty."""
        parameters = {"q": self.text, **self.chosen}
        if self.order is not NEWEST:
            parameters["order"] = self.order.key
        parameters |= changes
        text = urlencode({key: value for key, value in parameters.items() if value})
        return f"?{text}" if text else "?"


def filter_functions() -> dict[str, Callable[[QuerySet[Contact], str], QuerySet[Contact]]]:
    built_in = {one.key: one.apply for one in (*BUILT_IN_FILTERS, *panels.filters())}
    return built_in | {key: apply for key, (_label, apply) in (VALUE_FILTERS | LINKED_FILTERS).items()}


@dataclass(frozen=True)
class ShownFilter:
    """A filter as the list draws it; `value_label` is empty while it is off."""

    key: str
    label: StrOrPromise
    choices: Sequence[tuple[str, StrOrPromise]]
    value: str
    value_label: StrOrPromise
    is_linked: bool = False


def shown_filters(query: ContactQuery) -> list[ShownFilter]:
    """Every filter with its choices: one statement for source, country and tag together, one for each other that reads rows."""
    filters = [(one.order, one.key, one.label, one.choices()) for one in (*BUILT_IN_FILTERS, *panels.filters())]
    frequent = queries.frequent_values()
    for number, (key, (label, _apply)) in enumerate(VALUE_FILTERS.items()):
        values = [(value, _value_label(key, value)) for value in frequent[key]]
        if key == "country":
            values.sort(key=lambda choice: fold(str(choice[1])))
        filters.append((30 + number, key, label, values))
    filters.sort(key=lambda one: (one[0], one[1]))
    shown = []
    for _order, key, label, choices in filters:
        value = query.chosen.get(key, "")
        name = dict(choices).get(value, "")
        if value and not name:  # typed or linked, and rare: it stays choosable
            name = _value_label(key, value)
            choices = [*choices, (value, name)]
        shown.append(ShownFilter(key, label, choices, value, name))
    return shown


def active_filters(query: ContactQuery) -> list[ShownFilter]:
    """The filters that are on, with their words; one statement for each whose words stand in rows, none when none is on."""
    known = {one.key: one for one in (*BUILT_IN_FILTERS, *panels.filters())}
    shown = []
    for key, value in query.chosen.items():
        if key in known:
            name = dict(known[key].choices()).get(value, value)
            shown.append(ShownFilter(key, known[key].label, [], value, name))
        elif key in VALUE_FILTERS:
            shown.append(ShownFilter(key, VALUE_FILTERS[key][0], [], value, _value_label(key, value)))
        else:
            shown.append(ShownFilter(key, LINKED_FILTERS[key][0], [], value, _linked_label(key, value), is_linked=True))
    return shown


def _value_label(key: str, value: str) -> str:
    return countries.name_of(value) if key == "country" else value


def _linked_label(key: str, value: str) -> str:
    if key == "company":
        company = Company.objects.filter(pk=int(value)).first() if value.isascii() and value.isdigit() else None
        return company.name if company else value
    if key == "recorded":
        return value
    stage, _colon, day = value.partition(":")
    return _("%(stage)s since %(day)s") % {"stage": stage, "day": day}


# --- Columns ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownColumn:
    """A column that the list can show. `kind` chooses how `_contact_list.html` draws a value; `values` reads those of one page."""

    key: str
    label: StrOrPromise
    kind: str = "text"
    template: str = ""
    values: Callable[[Sequence[Contact]], dict[int, Any]] = field(default=lambda contacts: {})
    text: Callable[[Any], str] = str
    is_default: bool = False


def _attribute(name: str) -> Callable[[Sequence[Contact]], dict[int, Any]]:
    return lambda contacts: {contact.pk: getattr(contact, name) for contact in contacts}


def _custom(key: str) -> Callable[[Sequence[Contact]], dict[int, Any]]:
    return lambda contacts: {contact.pk: contact.custom.get(key) for contact in contacts}


def _registered(column: panels.Column) -> Callable[[Sequence[Contact]], dict[int, Any]]:
    return lambda contacts: column.values([contact.pk for contact in contacts])


def last_activity(contacts: Sequence[Contact]) -> dict[int, Any]:
    """When each was last active, from the sums; one statement over the sums of these contacts."""
    rows = Signal.objects.filter(contact__in=[contact.pk for contact in contacts]).values("contact_id")
    return {row["contact_id"]: row["last"] for row in rows.annotate(last=Max("last_at"))}


def moment_text(value: datetime | None) -> str:
    return timezone.localtime(value).isoformat(timespec="seconds") if value else ""


def plain_text(value: Any) -> str:
    """A value of a custom field for a cell or an export."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(plain_text(item) for item in value)
    return str(value)


BUILT_IN_COLUMNS = (  # the address stands below the name
    ShownColumn("stage", gettext_lazy("Stage"), "stage", values=_attribute("stage"), is_default=True),
    ShownColumn("company", gettext_lazy("Company"), "company", values=_attribute("company"), is_default=True),
    ShownColumn("title", gettext_lazy("Job title"), values=_attribute("title"), is_default=True),
    ShownColumn("owner", gettext_lazy("Owner"), values=_attribute("owner"), is_default=True),
    ShownColumn("source", gettext_lazy("Source"), values=_attribute("source"), is_default=True),
    ShownColumn("last_activity", gettext_lazy("Last active"), "moment", values=last_activity, text=moment_text),
    ShownColumn("created_at", gettext_lazy("Recorded"), "moment", values=_attribute("created_at"), text=moment_text),
    ShownColumn("tags", gettext_lazy("Tags"), "tags", values=_attribute("tags"), text=plain_text),
    ShownColumn("country", gettext_lazy("Country"), "country", values=_attribute("country")),
    ShownColumn("city", gettext_lazy("City"), values=_attribute("city")),
    ShownColumn("department", gettext_lazy("Department"), values=_attribute("department")),
    ShownColumn("seniority", gettext_lazy("Seniority"), values=_attribute("seniority")),
    ShownColumn("phone", gettext_lazy("Phone"), values=_attribute("phone")),
    ShownColumn("external_id", gettext_lazy("External id"), values=_attribute("external_id")),
    ShownColumn("email", gettext_lazy("E-mail"), values=_attribute("email")),
)


def contact_columns() -> list[ShownColumn]:
    """Everything that can be a column beside the name: facts, what higher rooms registered, custom fields. One statement."""
    registered = [
        ShownColumn(
            column.key,
            column.label,
            "template" if column.template else "text",
            column.template,
            _registered(column),
            column.text,
            column.is_default,
        )
        for column in panels.columns()
    ]
    custom = [
        ShownColumn(f"custom.{one.key}", one.label, "custom", values=_custom(one.key), text=plain_text)
        for one in CustomField.objects.filter(of=CustomField.Of.CONTACT)
    ]
    return [BUILT_IN_COLUMNS[0], *registered, *BUILT_IN_COLUMNS[1:], *custom]


def chosen_columns(keys: Sequence[str] | None) -> tuple[list[ShownColumn], list[ShownColumn]]:
    """(shown, all). None = the columns that everybody starts with; a key that no longer exists is left out."""
    every = contact_columns()
    if keys is None:
        return [column for column in every if column.is_default], every
    return [column for column in every if column.key in keys], every


@dataclass(frozen=True)
class Cell:
    column: ShownColumn
    value: Any

    @property
    def text(self) -> str:
        return "" if self.value is None else self.column.text(self.value)


@dataclass(frozen=True)
class ContactRow:
    contact: Contact
    cells: list[Cell]


def contact_rows(contacts: Sequence[Contact], columns: Sequence[ShownColumn]) -> list[ContactRow]:
    """Contacts with what the columns show; one statement for each column that reads more than the contact."""
    values = [column.values(contacts) for column in columns]
    return [
        ContactRow(
            contact,
            [Cell(column, found.get(contact.pk)) for column, found in zip(columns, values, strict=True)],
        )
        for contact in contacts
    ]


# --- Companies and deals -------------------------------------------------------------------------------------------------------

COMPANIES_BY_NAME = Order("name", gettext_lazy("By name"), (Lower("name"), "id"), False, (str, int))
DEALS_NEWEST = Order("newest", gettext_lazy("Newest first"), ("id",), True, (int,))


def company_options(text: str, *, limit: int = 12) -> list[Company]:
    """Companies to choose from while somebody types a name. One statement by the trigram index."""
    words = words_of(text)
    if not words:
        return []
    return list(search_companies(Company.objects.all(), words).order_by(Lower("name"), "id")[:limit])


# --- Export ----------------------------------------------------------------------------------------------------------------

EXPORT_CHUNK = 2_000
KEY_COLUMNS = ("external_id", "email", "first_name", "last_name")
FORMULA_SIGNS = ("=", "@", "\t", "\r")
SIGNED_NUMBER = re.compile(
    r"[+-][\d\s().,/-]*"
)  # a telephone or a number may start with a sign: no formula comes of it


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of running it: a leading quote where a formula would begin."""
    if text.startswith(FORMULA_SIGNS) or (text.startswith(("+", "-")) and not SIGNED_NUMBER.fullmatch(text)):
        return f"'{text}"
    return text


def export_rows(contacts: QuerySet[Contact], columns: Sequence[ShownColumn]) -> Iterator[list[str]]:
    """A header of field keys, then everybody by id. By EXPORT_CHUNK contacts a chunk, each a statement, and one per reading column."""
    columns = [column for column in columns if column.key not in KEY_COLUMNS]
    yield [*KEY_COLUMNS, *(column.key for column in columns)]
    last = 0
    while True:
        ordered = contacts.filter(pk__gt=last).select_related("company", "owner").order_by("pk")
        chunk = list(ordered[:EXPORT_CHUNK])
        for row in contact_rows(chunk, columns):
            keys = [plain_text(getattr(row.contact, key)) for key in KEY_COLUMNS]
            cells = [cell.text for cell in row.cells]
            yield [safe_cell(text) for text in (*keys, *cells)]
        if len(chunk) < EXPORT_CHUNK:
            return
        last = chunk[-1].pk
