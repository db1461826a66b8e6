"""What higher rooms take out of a file of contacts: they register targets for columns, and store what those hold beside the contact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads.importing.fields import FIELDS, Field, Kind


@dataclass(frozen=True)
class Filled:
    """What one row of a file holds for a room, checked, with the contact that the row is about."""

    contact_id: int
    values: Any


@dataclass(frozen=True)
class Extra:
    """Targets of one room, all under one prefix (`bant.budget`).

    `check(values, now)` makes what `take` gets of a row's values (prefix left out), or raises BadValue: then the row is
    rejected, before anything of it is stored. `take(rows, now, actor_id, is_trial)` stores what is news, in few statements
    whatever the rows, and returns the contacts for whom there was any; a trial only finds them out.
    """

    prefix: str
    fields: tuple[Field, ...]
    check: Callable[[dict[str, Any], datetime], Any]
    take: Callable[[Sequence[Filled], datetime, int | None, bool], set[int]]


_extras: dict[str, Extra] = {}


def register_extra(extra: Extra) -> None:
    """Offer the room's targets to files of contacts, beside the contact's own fields."""
    if extra.prefix in _extras:
        raise ValueError(f"Targets “{extra.prefix}” are registered already.")
    _extras[extra.prefix] = extra
    FIELDS[Kind.CONTACTS].update({field.key: field for field in extra.fields})


def extras() -> list[Extra]:
    return list(_extras.values())
