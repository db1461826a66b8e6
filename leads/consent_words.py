"""The consent ledger as people read it: how something was said, and what proves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import ConsentEvent, Purpose

_SOURCES = {
    "one_click": gettext_lazy("one click in their mail program"),
    "unsubscribe_link": gettext_lazy("the link in a mail"),
    "preference_page": gettext_lazy("their preference page"),
    "mailbox": gettext_lazy("a mail to us"),
    "by_hand": gettext_lazy("a colleague wrote it down"),
    "complaint": gettext_lazy("a complaint to their mail provider"),
    "merge": gettext_lazy("said under an address of the contact that was merged"),
    "address_changed": gettext_lazy("said under the address that they had before"),
    "erased": gettext_lazy("asked to be erased"),
}
_BEGINNINGS = {
    "confirmed": gettext_lazy("confirmed by mail"),
    "website": gettext_lazy("a form of a website"),
    "form": gettext_lazy("a form"),
    "import": gettext_lazy("a file"),
}
_PROOFS = {
    "by": gettext_lazy("Written down by"),
    "note": gettext_lazy("How"),
    "sending": gettext_lazy("Mail"),
    "signed_in": gettext_lazy("In a browser where a colleague was signed in"),
    "ip_hash": gettext_lazy("Network address, as a hash"),
    "agent": gettext_lazy("Browser"),
    "asked_at": gettext_lazy("Asked"),
    "withdrawn_at": gettext_lazy("Said"),
    "former_address": gettext_lazy("Former address, as a hash"),
    "merged_from": gettext_lazy("Former address, as a hash"),
    "visitor": gettext_lazy("Visitor of the website"),
}
_MOMENTS = frozenset({"asked_at", "withdrawn_at"})
_SHORTENED = frozenset({"ip_hash", "former_address", "merged_from", "visitor"})
_INNER = frozenset({"request", "asked"})  # a number of ours; what was kept when they were asked has a row of its own


@dataclass(frozen=True)
class Evidence:
    """One line of a proof; `link` leads to the mail."""

    label: str
    value: str
    link: str = ""


@dataclass(frozen=True)
class Line:
    """One row of the ledger."""

    at: datetime
    purpose: str
    state: str
    counts: bool
    source: str
    wording: str
    proof: list[Evidence]


def lines(rows: Iterable[ConsentEvent]) -> list[Line]:
    """One statement beside the rows'."""
    names = dict(Purpose.objects.values_list("slug", "name"))
    return [
        Line(
            row.occurred_at,
            names.get(row.purpose, row.purpose),
            row.get_state_display(),
            row.counts,
            source_in_words(row.source),
            row.wording,
            list(_evidence(row.proof)),
        )
        for row in rows
    ]


def source_in_words(source: str) -> str:
    """What nobody knows stays as it was stored."""
    if source in _SOURCES:
        return str(_SOURCES[source])
    beginning, _colon, rest = source.partition(":")
    if beginning not in _BEGINNINGS:
        return source
    inner = source_in_words(rest) if rest else ""
    return (
        _("%(how)s: %(which)s") % {"how": _BEGINNINGS[beginning], "which": inner}
        if inner
        else str(_BEGINNINGS[beginning])
    )


def _evidence(proof: dict[str, Any]) -> Iterable[Evidence]:
    known = [key for key in _PROOFS if proof.get(key)]
    for key in [*known, *(key for key in proof if key not in _PROOFS and key not in _INNER)]:
        label = str(_PROOFS.get(key, key))
        if key == "sending":
            yield Evidence(label, f"#{proof[key]}", reverse("nurture:sending-detail", args=[int(proof[key])]))
        else:
            yield Evidence(label, _value(key, str(proof[key])))


def _value(key: str, text: str) -> str:
    if key in _MOMENTS and (moment := parse_datetime(text)):
        return date_format(timezone.localtime(moment), "SHORT_DATETIME_FORMAT")
    return f"{text[:8]}…" if key in _SHORTENED and len(text) > 12 else text
