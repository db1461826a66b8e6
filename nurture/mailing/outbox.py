"""The outbox as a list: which mails, the newest first, a page at a time by key, and for what reasons they wait or did not leave."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import CharField, Count, F, Func, Min, QuerySet, Value
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from nurture.mailing.sending import why_words
from nurture.models import Sending

PAGE = 50
MOST_REASONS = 15
# What mail servers say names the reader, so it is never the same twice: the codes at its head are the reason.
_CODES = Func(F("why_not"), Value(r"^\d{3}(?: \d\.\d{1,3}\.\d{1,3})?"), function="substring", output_field=CharField())
_SORT = Coalesce(_CODES, F("why_not"))
_LONGEST_CODE = len("550 5.123.123")
_HEAVY = ("html", "text", "headers", "template__body")


@dataclass(frozen=True)
class Choice:
    """What the address of the page asks for; what makes no sense is left out."""

    state: str = ""
    program: str = ""
    broadcast: str = ""
    why: str = ""
    after: tuple[datetime, int] | None = None

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> Choice:
        words = {name: asked.get(name, "").replace("\0", "") for name in ("state", "program", "broadcast", "why")}
        words["state"] = words["state"] if words["state"] in Sending.State.values else ""
        return cls(**words, after=_place(asked.get("after", "")))

    @property
    def is_code(self) -> bool:
        """It stands for all answers of mail servers that begin with it."""
        return self.why[:3].isdecimal() and len(self.why) <= _LONGEST_CODE

    def address(self, **changes: str) -> str:
        """The query of the page with something chosen otherwise."""
        values = {"state": self.state, "program": self.program, "broadcast": self.broadcast, "why": self.why} | changes
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def rows(self) -> QuerySet[Sending]:
        """Whatever was chosen but for the reason."""
        found = Sending.objects.all()
        if self.state:
            found = found.filter(state=self.state)
        if self.program:
            found = found.filter(enrolment__program__slug=self.program)
        if self.broadcast:
            found = found.filter(broadcast__slug=self.broadcast)
        return found


@dataclass(frozen=True)
class Reason:
    words: str
    number: int
    address: str
    is_chosen: bool


def page(choice: Choice) -> tuple[list[Sending], str]:
    """Mails with `why` in words, and what the next page begins after. One statement along an index, however deep the page."""
    found = choice.rows().select_related("contact", "template", "enrolment__program", "broadcast").defer(*_HEAVY)
    if choice.why:
        found = (
            found.filter(why_not=choice.why) if not choice.is_code else found.alias(sort=_SORT).filter(sort=choice.why)
        )
    if choice.after:
        found = found.filter(TupleLessThan(Tuple("queued_at", "pk"), choice.after))
    rows = list(found.order_by("-queued_at", "-id")[: PAGE + 1])
    for row in rows:
        row.why = why_words(row.why_not)  # type: ignore[attr-defined]
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return rows[:PAGE], f"{last.queued_at.isoformat()}_{last.pk}" if last else ""


def reasons(choice: Choice) -> list[Reason]:
    """Why mails of the chosen state are where they are, the most frequent first. One statement over an index of mails with a reason."""
    if choice.state in ("", Sending.State.SENT):
        return []
    found = choice.rows().exclude(why_not="").order_by().values_list(_SORT).annotate(n=Count("*"), first=Min("why_not"))
    return [
        Reason(_words(why, first), number, choice.address(why=why), why == choice.why)
        for why, number, first in found.order_by("-n", "first")[:MOST_REASONS]
    ]


def _words(why: str, first: str) -> str:
    if why == first:
        return why_words(why)
    return _("%(code)s, as in: %(words)s") % {"code": why, "words": first.removeprefix(why).strip()}


def _place(text: str) -> tuple[datetime, int] | None:
    moment, _between, number = text.rpartition("_")
    with suppress(ValueError):
        at = parse_datetime(moment.replace(" ", "+"))
        if at is not None and at.tzinfo is not None and 0 <= int(number) < 2**63:
            return at, int(number)
    return None
