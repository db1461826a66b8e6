"""What mails to some people name beyond contact, company and owner, read where a template asks for it: one statement for each sort of thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from leads.workspace import zone
from nurture.models import Enrolment, Sending, Template
from nurture.templating import blocks
from nurture.templating.placeholders import CONTENT, SCORE_PARTS
from nurture.templating.queries_writing import last_touched
from nurture.templating.rendering import BadTemplate, Compiled
from nurture.templating.sandbox import SHOWN
from nurture.templating.stationery import Cupboard
from scoring.models import Score
from segments import conditions


class Readers:
    """The people of some sendings; `at` is the moment that their mails are written for."""

    def __init__(self, sendings: Sequence[Sending], *, at: datetime) -> None:
        self._at = at
        self._contact_ids = sorted({sending.contact_id for sending in sendings if sending.contact_id is not None})
        self._enrolment_ids = sorted({sending.enrolment_id for sending in sendings if sending.enrolment_id is not None})
        self._shown: dict[int, dict[str, frozenset[int]]] = {}
        self.cupboard = Cupboard()

    def about(self, sending: Sending, template: Template, compiled: Compiled) -> dict[str, Any]:
        """Values for this mail, of what its template asks for. Raises BadTemplate when a block's condition no longer fits."""
        contact_id, found = sending.contact_id or 0, dict[str, Any]()
        if "score" in compiled.roots:
            found["score"] = self._scores.get(contact_id, {})
        if "content" in compiled.roots:
            found["content"] = self._content.get(contact_id, {})
        if "program" in compiled.roots:
            found["program"] = self._programs.get(sending.enrolment_id or 0, {})
        if compiled.blocks:
            seen = self._seen(template, compiled.blocks)
            found[SHOWN] = {key: contact_id in people for key, people in seen.items()}
        return found

    @cached_property
    def _scores(self) -> Mapping[int, dict[str, Any]]:
        """contact -> model's slug -> part -> points."""
        found: dict[int, dict[str, Any]] = {}
        rows = Score.objects.filter(contact_id__in=self._contact_ids, model__archived_at=None)
        for contact_id, model, *values in rows.values_list("contact_id", "model__slug", *SCORE_PARTS):
            found.setdefault(contact_id, {})[model] = dict(zip(SCORE_PARTS, map(_shown, values), strict=True))
        return found

    @cached_property
    def _content(self) -> Mapping[int, dict[str, Any]]:
        """contact -> page, download … -> title, url and day of the last one."""
        kinds = {kind: name for name, of in CONTENT.items() for kind in of}
        found: dict[int, dict[str, Any]] = {}
        for contact_id, touched in last_touched(self._contact_ids, list(kinds), at=self._at).items():
            for one in touched:  # the newest first
                day = one.at.astimezone(zone()).date().isoformat()
                about = {"title": one.title, "url": one.url, "on": day}
                found.setdefault(contact_id, {}).setdefault(kinds[one.kind], about)
        return found

    @cached_property
    def _programs(self) -> Mapping[int, dict[str, Any]]:
        """enrolment -> the program's name, and since when they are in it."""
        rows = Enrolment.objects.filter(pk__in=self._enrolment_ids).values_list("pk", "program__name", "entered_at")
        return {
            pk: {"name": name, "entered_on": entered_at.astimezone(zone()).date().isoformat()}
            for pk, name, entered_at in rows
        }

    def _seen(self, template: Template, keys: frozenset[str]) -> dict[str, frozenset[int]]:
        known = self._shown.setdefault(template.pk or 0, {})
        missing = [block for block in template.blocks if block["key"] in keys - set(known)]
        if not missing:
            return known
        try:
            known |= blocks.shown(missing, self._contact_ids, at=self._at)
        except conditions.BadConditions as error:
            words = _("The condition of a block no longer fits: %(why)s") % {"why": error.problems[0].message}
            raise BadTemplate(words) from error
        return known


def _shown(value: Any) -> Any:
    """Points as people write them: 75, not 75.00."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
