"""What personas add to the pages of contacts: a panel, a column, a filter, the days on which a persona was given or taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Contact
from leads.panels import (
    Column,
    ListFilter,
    Panel,
    TimelineEvent,
    TimelineSource,
    register_column,
    register_filter,
    register_panel,
    register_timeline,
)
from segments.models import Persona, PersonaAssignment
from segments.personas import motivations_of

NONE = "-"  # the filter's value for contacts without a persona


def register() -> None:
    register_panel(Panel("persona", gettext_lazy("Persona"), "segments/_persona_panel.html", _panel, order=20))
    register_timeline(TimelineSource("personas", gettext_lazy("Personas"), _events, order=45))
    register_column(
        Column(
            "persona",
            gettext_lazy("Persona"),
            _values,
            template="segments/_persona_column.html",
            text=lambda persona: persona.name if persona else "",
            in_header=True,
            is_default=True,
            order=20,
            of_contact=_of_contact,
        )
    )
    register_filter(ListFilter("persona", gettext_lazy("Persona"), _choices, _with_persona, order=20))


def _panel(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """The persona that the contact has now and since when. One statement for the panel and the header."""
    stay = _stay(contact)
    return {"stay": stay, "motivations": motivations_of(stay.persona)[:4] if stay else []}


def _stay(contact: Contact) -> PersonaAssignment | None:
    """Asked once while a page is drawn: kept on the contact, like the roles of a user (leads/access.py)."""
    if not hasattr(contact, "_ripen_stay"):
        rows = PersonaAssignment.objects.filter(contact=contact, until=None).select_related("persona")
        contact._ripen_stay = rows.first()  # type: ignore[attr-defined]
    return cast("PersonaAssignment | None", contact._ripen_stay)  # type: ignore[attr-defined]


def _of_contact(contact: Contact) -> Persona | None:
    stay = _stay(contact)
    return stay.persona if stay else None


def _values(contact_ids: Sequence[int]) -> dict[int, Any]:
    stays = PersonaAssignment.objects.filter(contact_id__in=contact_ids, until=None).select_related("persona")
    return {stay.contact_id: stay.persona for stay in stays}


def _choices() -> list[tuple[str, Any]]:
    named = list(Persona.objects.exclude(status=Persona.Status.DRAFT).values_list("slug", "name"))
    return [*named, (NONE, _("no persona"))]


def _with_persona(contacts: QuerySet[Contact], slug: str) -> QuerySet[Contact]:
    stays = PersonaAssignment.objects.filter(contact=OuterRef("pk"), until=None)
    if slug == NONE:
        return contacts.filter(~Exists(stays))
    return contacts.filter(Exists(stays.filter(persona__slug=slug)))


def _events(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """Each persona given. One statement over the assignments of one contact."""
    stays = PersonaAssignment.objects.filter(contact_id=contact_id).select_related("persona").order_by("-since")
    if before is not None:
        stays = stays.filter(since__lt=before)
    return [
        TimelineEvent(
            stay.since,
            "masks-theater",
            _("Became “%(persona)s”") % {"persona": stay.persona.name},
            _("until %(day)s") % {"day": stay.until.date().isoformat()} if stay.until else "",
            reverse("segments:persona-detail", args=[stay.persona.slug]),
        )
        for stay in stays[:limit]
    ]
