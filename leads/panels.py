"""What higher rooms add to the contact pages: panels, timeline events, list columns, list filters, bulk actions.

Rooms above `leads` register here in AppConfig.ready, so that facts never import them. Every callable reads at most one or two
statements whatever the rows (a page has 15 in all), takes `now` where time matters, and asks nothing per contact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from django.contrib.auth.models import User
from django.db.models import QuerySet

from leads.models import Contact

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise as StrOrPromise
else:
    StrOrPromise = str


@dataclass(frozen=True)
class Panel:
    """A card on the contact page. `template` is included inside a `.card` and gets `contact`, `now`, `may` and what `context` returns.

    `stylesheet` is a static file of its room that the template needs. One that `is_later` is asked for after the page stands, with all
    others that are: what people come for stands first, and neither the page nor its rest asks more than fifteen statements.
    """

    key: str
    title: StrOrPromise
    template: str
    context: Callable[[Contact, User, datetime], dict[str, Any]]
    order: int = 100
    stylesheet: str = ""
    is_later: bool = False


@dataclass(frozen=True)
class TimelineEvent:
    """Something that happened to a contact. `icon` is a Tabler icon without “ti-”; `category` is filled in with its source's key."""

    at: datetime
    icon: str
    title: StrOrPromise
    detail: StrOrPromise = ""
    url: str = ""
    category: str = ""


@dataclass(frozen=True)
class TimelineSource:
    """One category of the timeline. `fetch(contact_id, before, limit)`: its events strictly before the moment, newest first.

    `before` is None for the newest page. A source whose one statement reads several kinds of things names them as `categories`
    (key, label), sets the category of each event itself, and reads one of them by `fetch_category`. `replaces` names activities that
    it tells better, by kind and beginning of their source: the facts leave them out, so that nothing stands there twice.
    """

    key: str
    label: StrOrPromise
    fetch: Callable[[int, datetime | None, int], Sequence[TimelineEvent]]
    order: int = 100
    categories: tuple[tuple[str, StrOrPromise], ...] = ()
    fetch_category: Callable[[int, datetime | None, int, str], Sequence[TimelineEvent]] | None = None
    replaces: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Column:
    """A column of the contact list. `values(contact_ids)` gives what is shown for the contacts of one page, in one statement.

    `template` (gets `value`, `contact`, `now`) draws a value; without one it is printed. `text` is the value in an export.
    `in_header` also shows it beside the name on the contact page, there by `of_contact` where that asks less (its panel reads the same).
    """

    key: str
    label: StrOrPromise
    values: Callable[[Sequence[int]], dict[int, Any]]
    template: str = ""
    text: Callable[[Any], str] = str
    in_header: bool = False
    is_default: bool = False
    order: int = 100
    stylesheet: str = ""
    of_contact: Callable[[Contact], Any] | None = None

    def value_of(self, contact: Contact) -> Any:
        return self.of_contact(contact) if self.of_contact else self.values([contact.pk]).get(contact.pk)


@dataclass(frozen=True)
class ListFilter:
    """A filter of the contact list. `apply(contacts, value)` narrows the query by EXISTS or IN, never by a join that doubles rows."""

    key: str
    label: StrOrPromise
    choices: Callable[[], Sequence[tuple[str, StrOrPromise]]]
    apply: Callable[[QuerySet[Contact], str], QuerySet[Contact]]
    order: int = 100


@dataclass(frozen=True)
class BulkAction:
    """Something done to the chosen contacts of the list. `run(contact_ids, value, user, now)` returns how many changed.

    `right` is a key of access.MAY. With `choices` the person picks a value first; without, they write one. With `page` there is
    nothing to pick: it gives the address of a page that goes on with the chosen contacts, or raises Refused.
    """

    key: str
    label: StrOrPromise
    icon: str
    right: str
    run: Callable[[Sequence[int], str, User, datetime], int] | None
    choices: Callable[[], Sequence[tuple[str, StrOrPromise]]] | None = None
    order: int = 100
    page: Callable[[Sequence[int]], str] | None = None

    @property
    def has_choices(self) -> bool:
        """For templates, which would call `choices` where they only name it."""
        return self.choices is not None


class _Ordered(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def order(self) -> int: ...


Entry = TypeVar("Entry", bound=_Ordered)

_panels: dict[str, Panel] = {}
_timeline: dict[str, TimelineSource] = {}
_columns: dict[str, Column] = {}
_filters: dict[str, ListFilter] = {}
_bulk_actions: dict[str, BulkAction] = {}


def register_panel(panel: Panel) -> None:
    _put(_panels, panel)


def register_timeline(source: TimelineSource) -> None:
    _put(_timeline, source)


def register_column(column: Column) -> None:
    _put(_columns, column)


def register_filter(list_filter: ListFilter) -> None:
    _put(_filters, list_filter)


def register_bulk_action(action: BulkAction) -> None:
    _put(_bulk_actions, action)


def panels() -> list[Panel]:
    return _in_order(_panels)


def timeline_sources() -> list[TimelineSource]:
    return _in_order(_timeline)


def stylesheets() -> list[str]:
    """What panels and columns need beside the shell's own, each once."""
    needed: list[Panel | Column] = [*panels(), *columns()]
    return sorted({one.stylesheet for one in needed if one.stylesheet})


def columns() -> list[Column]:
    return _in_order(_columns)


def filters() -> list[ListFilter]:
    return _in_order(_filters)


def bulk_actions() -> list[BulkAction]:
    return _in_order(_bulk_actions)


@dataclass(frozen=True)
class TimelinePage:
    """Events newest first; `before` is where the next page starts, None when there is none."""

    events: list[TimelineEvent]
    before: datetime | None


def timeline(contact_id: int, *, before: datetime | None, limit: int, category: str = "") -> TimelinePage:
    """One page of everything that happened, from every source or from one category: one statement per source.

    A page never ends between two events of the same moment, since the next one starts strictly before a moment: it is cut
    short at the moment before, or, when it holds one moment only, read again longer.
    """
    while True:
        events = [
            event for source in timeline_sources() for event in _fetch(source, contact_id, before, limit + 1, category)
        ]
        events.sort(key=lambda event: event.at, reverse=True)
        if len(events) <= limit:
            return TimelinePage(events, None)
        first_left_out = events[limit].at
        shown = [event for event in events[:limit] if event.at > first_left_out]
        if shown:
            return TimelinePage(shown, shown[-1].at)
        limit *= 4


def categories() -> list[tuple[str, StrOrPromise]]:
    """What the timeline can be narrowed to."""
    return [entry for source in timeline_sources() for entry in source.categories or [(source.key, source.label)]]


def _fetch(
    source: TimelineSource, contact_id: int, before: datetime | None, limit: int, category: str
) -> Sequence[TimelineEvent]:
    if source.categories and source.fetch_category is not None:
        if not category:
            return source.fetch(contact_id, before, limit)
        if category in dict(source.categories):
            return source.fetch_category(contact_id, before, limit, category)
        return []
    if category and category != source.key:
        return []
    return [replace(event, category=source.key) for event in source.fetch(contact_id, before, limit)]


def _put(registry: dict[str, Entry], entry: Entry) -> None:
    if entry.key in registry:
        raise ValueError(f"{type(entry).__name__} “{entry.key}” is registered already.")
    registry[entry.key] = entry


def _in_order(registry: dict[str, Entry]) -> list[Entry]:
    return sorted(registry.values(), key=lambda entry: (entry.order, entry.key))
