"""The facts' part of a contact's timeline: activities, stage moves, deals, consent and the record itself, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import queries
from leads.lifecycle import STAGES
from leads.models import ConsentEvent
from leads.panels import TimelineEvent, TimelineSource, register_timeline, timeline_sources

ICONS = {
    "page_view": "eye",
    "form_submit": "forms",
    "newsletter_subscribed": "news",
    "download": "download",
    "video_watched": "video",
    "webinar_registered": "calendar-plus",
    "webinar_attended": "presentation",
    "demo_booked": "calendar-star",
    "meeting": "calendar-user",
    "call": "phone",
    "reply": "message-reply",
    "purchase": "shopping-cart",
    "email_sent": "mail",
    "email_delivered": "mail-check",
    "email_open": "mail-opened",
    "email_click": "click",
    "email_bounce": "mail-x",
    "email_complaint": "mail-exclamation",
    "email_unsubscribe": "mail-off",
}
CATEGORIES = (
    ("activities", gettext_lazy("Activities")),
    ("stages", gettext_lazy("Stages")),
    ("deals", gettext_lazy("Deals")),
    ("consent", gettext_lazy("Consent")),
    ("record", gettext_lazy("Record")),
)
STAGE_LABELS = {slug: label for slug, label, _position, _is_detour in STAGES}


def register() -> None:
    register_timeline(
        TimelineSource(
            "facts",
            gettext_lazy("Facts"),
            _everything,
            order=10,
            categories=CATEGORIES,
            fetch_category=lambda contact_id, before, limit, category: _fetch(contact_id, before, limit, [category]),
        )
    )


def cause_in_words(cause: str, actor: str = "") -> str:
    """What moved a contact, as people say it; a cause of a kind not known here is shown as stored."""
    kind, _colon, name = cause.partition(":")
    words = {
        "by_hand": _("by %(name)s") % {"name": actor} if actor else _("by hand"),
        "import": _("by an import"),
        "hand_off": _("by the hand-off to sales"),
        "answer": _("by the answer of sales"),
        "program": _("by the program %(name)s") % {"name": name},
        "rule": _("by the rule %(name)s") % {"name": name},
        "bant": _("by BANT"),
        "merge": _("by merging two contacts"),
    }
    return words.get(kind, cause.replace("_", " "))


def _everything(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    return _fetch(contact_id, before, limit, [key for key, _label in CATEGORIES])


def _fetch(contact_id: int, before: datetime | None, limit: int, categories: list[str]) -> list[TimelineEvent]:
    rows = queries.timeline_of_facts(
        contact_id,
        before=before,
        limit=limit,
        zone=timezone.get_current_timezone_name(),
        categories=categories,
        elsewhere=[told for source in timeline_sources() for told in source.replaces],
    )
    words = {"activities": _activity, "stages": _stage, "deals": _deal, "consent": _consent, "record": _record}
    return [words[row.category](row) for row in rows]


def _activity(row: queries.FactEvent) -> TimelineEvent:
    subject, address, source = row.first, row.second, row.third
    properties = row.detail if isinstance(row.detail, dict) else {}
    said = [f"{key.replace('_', ' ')}: {value}" for key, value in properties.items() if value not in (None, "")]
    if subject and address:
        said.insert(0, address)
    if source:
        said.append(_("from %(source)s") % {"source": source})
    title = f"{row.title}: {subject or address}" if subject or address else row.title
    return TimelineEvent(
        at=row.at, icon=ICONS.get(row.what, "activity"), title=title, detail=" · ".join(said), category=row.category
    )


def _stage(row: queries.FactEvent) -> TimelineEvent:
    cause, reason, before, after, actor = row.what, row.title, row.first, row.second, row.third
    title = _("%(before)s → %(after)s") % {
        "before": STAGE_LABELS.get(before, before),
        "after": STAGE_LABELS.get(after, after),
    }
    words = cause_in_words(cause, actor)
    return TimelineEvent(
        at=row.at,
        icon="arrow-ramp-right",
        title=title,
        detail=f"{words} · {reason}" if reason else words,
        category=row.category,
    )


def _deal(row: queries.FactEvent) -> TimelineEvent:
    product, external_id, loss_reason, amount = row.title, row.first, row.second, row.third
    icon, title = {
        "opened": ("briefcase", _("Deal opened")),
        "won": ("trophy", _("Deal won")),
        "lost": ("mood-sad", _("Deal lost")),
    }[row.what]
    said = [product, _tidy(amount), loss_reason if row.what == "lost" else ""]
    return TimelineEvent(
        at=row.at,
        icon=icon,
        title=f"{title}: {external_id}",
        detail=" · ".join(part for part in said if part),
        url=reverse("leads:deal-detail", args=[row.detail]),
        category=row.category,
    )


def _consent(row: queries.FactEvent) -> TimelineEvent:
    state, purpose, source, wording = row.what, row.title, row.first, row.second
    said = [purpose, cause_in_words(source.replace("_link", " link")), wording]
    return TimelineEvent(
        at=row.at,
        icon="shield-check" if state == ConsentEvent.State.GIVEN else "shield-off",
        title=_("Consent %(state)s") % {"state": ConsentEvent.State(state).label},
        detail=" · ".join(part for part in said if part),
        category=row.category,
    )


def _record(row: queries.FactEvent) -> TimelineEvent:
    if row.what == "merged":
        said = [_("by %(name)s") % {"name": row.third} if row.third else "", row.first, row.second]
        return TimelineEvent(
            at=row.at,
            icon="arrows-join-2",
            title=_("%(name)s was merged into this contact") % {"name": row.title},
            detail=" · ".join(part for part in said if part),
            category=row.category,
        )
    return TimelineEvent(
        at=row.at,
        icon="user-plus",
        title=_("Contact recorded"),
        detail=_("from %(source)s") % {"source": row.title} if row.title else "",
        category=row.category,
    )


def _tidy(amount: str | None) -> str:
    """A decimal without the zeros behind it that the column's scale adds."""
    return f"{amount.rstrip('0').rstrip('.') if '.' in amount else amount}" if amount else ""
