"""Verbs over the company's own words: change and delete custom fields, rename, merge and delete tags. Nothing goes that a rule uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from leads import queries_vocabulary as queries
from leads import values
from leads.actions import Refused, audit
from leads.models import CustomField
from leads.text import clean, fold
from leads.usage import Use, key_of_field, key_of_tag, uses
from leads.workspace import zone

EXAMPLES = 5


class InUse(Refused):
    """Rules use it; `users` are those that do."""

    def __init__(self, what: str, users: Sequence[Use]) -> None:
        self.users = list(users)
        names = ", ".join(f"{user.kind} “{user.label}”" for user in users)
        super().__init__(_("“%(what)s” is used by: %(users)s. Change these first.") % {"what": what, "users": names})


class Lossy(Refused):
    """Some stored values do not spell the new type; `conversion` says how many, and nothing was changed."""

    def __init__(self, conversion: Conversion) -> None:
        self.conversion = conversion
        super().__init__(
            _("%(lost)s stored values do not spell the new type and would be lost.") % {"lost": conversion.lost}
        )


@dataclass(frozen=True)
class Conversion:
    """What a change of type would do to the stored values: rows kept, rows lost, some lost values with the reason."""

    kept: int
    lost: int
    examples: tuple[tuple[str, str, int], ...]
    pairs: tuple[tuple[Any, Any], ...]


def plan_conversion(field: CustomField, *, to: str, choices: Sequence[str]) -> Conversion:
    """What becomes of each stored value. One statement; one reading per different value."""
    convert = values.for_custom(to, choices, values.Reading(zone=zone()))
    kept = lost = 0
    examples: list[tuple[str, str, int]] = []
    pairs: list[tuple[Any, Any]] = []
    for stored, rows in queries.stored_values(field.of, field.key):
        try:
            fresh = convert(_spelled(stored, to))
        except values.BadValue as error:
            lost += rows
            pairs.append((stored, None))
            if len(examples) < EXAMPLES:
                examples.append((str(_spelled(stored, "text")), str(error), rows))
        else:
            kept += rows
            pairs.append((stored, None if fresh in ("", []) else fresh))
    return Conversion(kept, lost, tuple(examples), tuple(pairs))


def _spelled(stored: Any, to: str) -> Any:
    """A stored value as the new type reads it: a list as its parts, except where several are taken."""
    if isinstance(stored, list):
        return stored if to == CustomField.Type.CHOICES else "; ".join(str(part) for part in stored)
    if to == CustomField.Type.CHOICES and not isinstance(stored, str):
        return values.as_text(stored)
    return stored


def change_custom_field(
    field: CustomField,
    *,
    label: str,
    type: str,
    choices: Sequence[str],
    help: str,
    actor: User | None,
    now: datetime,
    lose: int = 0,
) -> list[str]:
    """Names of what changed. Label, help and choices change any time; another type only while no rule uses the field.

    `lose` is the number of values that the person agreed to lose. InUse, Lossy when it would be another number, Refused for choices
    without any. The values are converted in one statement of the same transaction; their contacts are marked.
    """
    with transaction.atomic():
        queries.own_definitions()
        row = CustomField.objects.select_for_update().get(pk=field.pk)
        if type == CustomField.Type.CHOICE and not choices:
            raise Refused(_("A choice needs at least one option."))
        if type != row.type:
            _convert(row, type, choices, lose=lose, now=now)
        wanted = {"label": label, "type": type, "choices": list(choices), "help": help}
        changed = [name for name, value in wanted.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, wanted[name])
        if changed:
            row.save(update_fields=changed)
            audit(actor, "changed", row, {"fields": changed, "lost": lose}, now)
    field.refresh_from_db()
    return changed


def _convert(row: CustomField, type: str, choices: Sequence[str], *, lose: int, now: datetime) -> None:
    refuse_in_use(row.label, key_of_field(row))
    conversion = plan_conversion(row, to=type, choices=choices)
    if conversion.lost != lose:
        raise Lossy(conversion)
    if conversion.pairs:
        queries.replace_values(row.of, row.key, conversion.pairs, now=now)


def delete_custom_field(field: CustomField, *, actor: User | None, now: datetime) -> int:
    """How many values went with it. InUse while a rule or a program names it."""
    with transaction.atomic():
        queries.own_definitions()
        row = CustomField.objects.select_for_update().get(pk=field.pk)
        refuse_in_use(row.label, key_of_field(row))
        lost = queries.forget_values(row.of, row.key, now=now)
        audit(actor, "deleted", row, {"of": row.of, "key": row.key, "type": row.type, "values": lost}, now)
        row.delete()
    return lost


def rename_tag(tag: str, *, to: str, actor: User | None, now: datetime) -> tuple[int, int]:
    """(contacts, companies) changed. Into a tag that is there already it is a merge. InUse while a rule or a program names the old one.

    Another spelling of the same tag (capitals) is no new name: rules do not see the case.
    """
    fresh = _clean_tag(to)
    with transaction.atomic():
        queries.own_definitions()
        if fold(fresh) != fold(tag):
            refuse_in_use(tag, key_of_tag(tag))
        changed = queries.replace_tag(fold(tag), fresh, now=now)
        audit(actor, "renamed", "tag", {"from": tag, "to": fresh, "contacts": changed[0], "companies": changed[1]}, now)
    return changed


def delete_tag(tag: str, *, actor: User | None, now: datetime) -> tuple[int, int]:
    """(contacts, companies) that had it. InUse while a rule or a program names it."""
    with transaction.atomic():
        queries.own_definitions()
        refuse_in_use(tag, key_of_tag(tag))
        changed = queries.replace_tag(fold(tag), None, now=now)
        audit(actor, "deleted", "tag", {"tag": tag, "contacts": changed[0], "companies": changed[1]}, now)
    return changed


def refuse_in_use(what: str, key: str) -> None:
    if users := uses().get(key):
        raise InUse(what, users)


def _clean_tag(text: str) -> str:
    name = clean(text)
    if not name:
        raise Refused(_("A tag needs a name."))
    if len(name) > values.LONGEST_TAG:
        raise Refused(_("A tag has at most %(most)s characters.") % {"most": values.LONGEST_TAG})
    return name
