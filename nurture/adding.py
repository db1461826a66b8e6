"""People put into a program by hand, from the list of contacts: first who would enter and who is refused for what, then it is done."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import audit
from leads.models import Contact
from leads.panels import BulkAction, register_bulk_action
from nurture import guards, queries_triggers
from nurture.actions import NurtureRefused
from nurture.around import ended_words
from nurture.kinds import Names
from nurture.models import Enrolment, Program, ProgramVersion
from nurture.triggers.document import segments

KEPT_SECONDS = 3_600  # how long the choice of people waits for its answer
MOST_NAMED = 20  # people of a reason who are named on the page
INSIDE, BEFORE, HELD_OUT = "inside", "before", "held_out"


def register() -> None:
    register_bulk_action(
        BulkAction(
            "add_to_program", gettext_lazy("Add to a program"), "route", "publish", None, order=70, page=_page_of
        )
    )


def _page_of(contact_ids: Sequence[int]) -> str:
    """Ten thousand ids are too long for an address: they wait in the cache under a key that nobody guesses."""
    key = secrets.token_urlsafe(16)
    cache.set(f"nurture:chosen:{key}", list(contact_ids), KEPT_SECONDS)
    return f"{reverse('nurture:people-add')}?{urlencode({'chosen': key})}"


def chosen(key: str) -> list[int]:
    """The contacts that were chosen in the list; none when that is too long ago."""
    found: list[int] = cache.get(f"nurture:chosen:{key}") or []
    return found


@dataclass(frozen=True)
class Refusal:
    """People who would not enter, or not as the others do, and why."""

    why: str
    words: str
    contact_ids: tuple[int, ...]

    @property
    def number(self) -> int:
        return len(self.contact_ids)

    @property
    def named(self) -> list[Contact]:
        """The first of them. One statement."""
        return list(Contact.objects.filter(pk__in=self.contact_ids[:MOST_NAMED]).order_by("pk"))


@dataclass(frozen=True)
class Preview:
    """Who enters, who is held out for comparison, and who does not enter."""

    entering: tuple[int, ...]
    held_out: tuple[int, ...]
    refused: list[Refusal]


def preview(program: Program, contact_ids: Sequence[int], now: datetime) -> Preview:
    """A handful of statements, whatever the number. Raises NurtureRefused when the program takes nobody in now."""
    version = _taking_in(program, now)
    known = set(Contact.objects.filter(pk__in=contact_ids).values_list("pk", flat=True))
    inside = set(
        Enrolment.objects.filter(program=program, contact__in=known, state__in=["active", "parked"]).values_list(
            "contact", flat=True
        )
    )
    may = queries_triggers.may_enter_by_hand(version.pk, sorted(known - inside), now=now)
    whys = dict.fromkeys(inside, INSIDE) | dict.fromkeys(known - inside - may, BEFORE)
    guard = guards.Guard(program, version.pk, version.around, tuple(segments(version.triggers)))
    whys |= guards.refusals(guard, sorted(may), now=now)
    rest = sorted(known - whys.keys())
    share = version.around.get("hold_out", 0)
    held_out = tuple(key for key in rest if guards.is_held_out(program, key, share))
    by_why: dict[str, list[int]] = {}
    for contact_id, why in sorted(whys.items()):
        by_why.setdefault(why, []).append(contact_id)
    names = Names()
    refused = [Refusal(why, _words(why, version, names), tuple(ids)) for why, ids in sorted(by_why.items())]
    return Preview(tuple(rest), held_out, refused)


def _taking_in(program: Program, now: datetime) -> ProgramVersion:
    version = program.versions.filter(state=ProgramVersion.State.LIVE).first()
    if program.state != Program.State.LIVE or version is None:
        raise NurtureRefused(
            _("The program is %(state)s: it takes nobody in.") % {"state": program.get_state_display()}
        )
    if (version.enters_from and version.enters_from > now) or (version.enters_until and version.enters_until <= now):
        raise NurtureRefused(_("It takes nobody in today: its first day is still to come, or its last one is past."))
    return version


def _words(why: str, version: ProgramVersion, names: Names) -> str:
    again = version.around.get("again")
    return {
        INSIDE: _("Are inside already."),
        BEFORE: _("Were in it before, and not long enough ago to enter anew.")
        if again
        else _("Were in it before; everybody enters once."),
    }.get(why) or ended_words(why, names)


def add(program: Program, contact_ids: Sequence[int], *, actor: User | None, now: datetime) -> int:
    """Put those in who may enter now; how many. Those whom the preview refused stay outside. Raises NurtureRefused."""
    with transaction.atomic():
        row = Program.objects.select_for_update(no_key=True).get(pk=program.pk)
        found = preview(row, contact_ids, now)
        entered = queries_triggers.enrol_by_hand(row.pk, found.entering, now=now)
        audit(actor, "put people into", row, {"people": entered, "chosen": len(contact_ids)}, now)
    return entered
