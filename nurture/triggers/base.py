"""What a kind of trigger is: its words, its form, what it demands, and who came in by it, as a statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nurture.kinds import Names, StepForm
from nurture.kinds.base import nothing_malformed, nothing_wrong
from segments import conditions
from segments.conditions import Catalogue, Moment, Sql

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Words
else:
    Words = str

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """What the statements of one look share: its moment, and the fields and kinds that were read for it."""

    moment: Moment
    catalogue: Catalogue

    @classmethod
    def at(cls, now: datetime) -> Asked:
        """One statement."""
        return cls(conditions.moment(now), Catalogue())


@dataclass(frozen=True)
class TriggerKind:
    """One row of the table of triggers.

    `malformed` and `problems` are those of a step's kind. `reads` names what it asks for in the graph of definitions.

    Who came in is asked in one of three ways:
    `arrivals` gives a SELECT of (contact_id, moment) from a history, any number of rows for a contact; the caller adds whom and since
    when. Its last argument is that moment; without one, those who match now are meant. None: nobody can have come.
    `condition` gives a document of the rule language for what has no history: who meets it is remembered (TriggerMatch), and who meets
    it anew, or with `on_leaving` no longer, came in.
    `moments` gives such a SELECT for a span of time (after, until], where time alone lets people in. None: nobody's moment lies in it.
    """

    key: str
    label: Words
    help: Words
    icon: str
    form: type[StepForm]
    words: Callable[[Values, Names], str]
    keys: frozenset[str]
    reads: Callable[[Values], frozenset[str]]
    malformed: Callable[[Values], Iterator[tuple[str, str]]] = nothing_malformed
    problems: Callable[[Values, Names], Iterator[tuple[str, bool]]] = nothing_wrong
    arrivals: Callable[[Values, Asked, datetime | None], Sql | None] | None = None
    condition: Callable[[Values], dict[str, Any]] | None = None
    on_leaving: Callable[[Values], bool] = lambda values: False
    moments: Callable[[Values, datetime, datetime], Sql | None] | None = None
    is_dated_ahead: bool = False  # its history may hold moments that are still to come


def missing(values: Values, key: str, message: str) -> Iterator[tuple[str, bool]]:
    """The message, which blocks, unless the value is there."""
    if not values.get(key):
        yield message, True
