"""What programs add to the pages of contacts: a panel that says where somebody is, events of the timeline, a filter of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.access import can
from leads.models import Contact
from leads.panels import (
    ListFilter,
    Panel,
    TimelineEvent,
    TimelineSource,
    register_filter,
    register_panel,
    register_timeline,
)
from nurture import around, tree
from nurture.kinds import KINDS, START, Names
from nurture.mailing.sending import why_words
from nurture.models import Enrolment, Program, ProgramVersion, Sending, StepVisit, Task

MOST_SHOWN = 20
ICONS = {
    Sending.State.SENT: "mail-check",
    Sending.State.BOUNCED: "mail-x",
    Sending.State.UNCERTAIN: "mail-question",
    Sending.State.NOT_SENT: "mail-off",
}


@dataclass(frozen=True)
class Place:
    """Where somebody is in a program, in words."""

    enrolment: Enrolment
    step: str
    step_words: str
    icon: str

    @property
    def is_waiting(self) -> bool:
        return self.enrolment.state == Enrolment.State.ACTIVE


def register() -> None:
    register_panel(
        Panel("programs", gettext_lazy("Programs"), "nurture/_program_panel.html", _panel, order=50, is_later=True)
    )
    told = (("email_sent", "template:"),)  # as sending records them: the mail itself leads to its page
    register_timeline(TimelineSource("mails", gettext_lazy("Mails"), _mails, order=50, replaces=told))
    register_timeline(TimelineSource("programs", gettext_lazy("Programs"), _steps, order=60))
    register_filter(ListFilter("program", gettext_lazy("Program"), _choices, _in_program, order=50))


def _panel(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """Programs and open tasks of a contact. Two statements, and the names that their steps mention."""
    enrolments = list(
        Enrolment.objects.filter(contact=contact)
        .select_related("program", "version")
        .order_by(Coalesce("ended_at", "next_step_at").desc(), "-id")[:MOST_SHOWN]
    )
    names = Names()
    return {
        "places": [place(enrolment, names) for enrolment in enrolments],
        "open_tasks": list(Task.objects.filter(contact=contact, done_at=None).order_by("due_at", "id")[:MOST_SHOWN]),
        "may_answer_tasks": can(user, "edit_contacts"),
        "is_inside": any(enrolment.is_inside for enrolment in enrolments),
    }


def place(enrolment: Enrolment, names: Names) -> Place:
    """Where the person stands, in the words of the version they walk."""
    if enrolment.state not in (Enrolment.State.ACTIVE, Enrolment.State.PARKED):
        return Place(enrolment, "", "", "flag")
    if enrolment.step == START:
        return Place(enrolment, START, _("Just entered"), "login-2")
    words, icon = step_words(enrolment.version, enrolment.step, names)
    return Place(enrolment, enrolment.step, words, icon)


def step_words(version: ProgramVersion, step_id: str, names: Names) -> tuple[str, str]:
    """A step in words with its icon, read from the stored document without checking it again."""
    node = _find(version.tree.get("steps", []), step_id)
    kind = KINDS.get(node["kind"]) if node else None
    if node is None or kind is None:
        return step_id, "help"
    return kind.words({key: node[key] for key in kind.keys if key in node}, names), kind.icon


def _find(nodes: list[tree.Document], step_id: str) -> tree.Document | None:
    for node in nodes:
        if node.get("id") == step_id:
            return node
        for way in KINDS[node["kind"]].ways if node.get("kind") in KINDS else ():
            if found := _find(node.get(way, []), step_id):
                return found
    return None


def _mails(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """Mails that left, and those that did not with the reason; waiting ones stand in the panel. One statement."""
    moment = Coalesce("sent_at", "queued_at")
    sendings = (
        Sending.objects.filter(contact_id=contact_id, state__in=list(ICONS), is_test=False)
        .annotate(moment=moment)
        .select_related("template")
        .defer("html", "text", "headers", "template__body")
    )
    if before is not None:
        sendings = sendings.filter(moment__lt=before)
    words = {
        Sending.State.SENT: _("Mail “%(subject)s” sent"),
        Sending.State.BOUNCED: _("Mail “%(subject)s” bounced"),
        Sending.State.UNCERTAIN: _("Mail “%(subject)s” may have been sent"),
        Sending.State.NOT_SENT: _("Mail “%(subject)s” not sent"),
    }
    return [
        TimelineEvent(
            row.moment,
            ICONS[Sending.State(row.state)],
            words[Sending.State(row.state)] % {"subject": row.subject or row.template.name},
            why_words(row.why_not) if row.why_not else "",
            reverse("nurture:sending-detail", args=[row.pk]),
        )
        for row in sendings.order_by("-moment")[:limit]
    ]


def _steps(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """Steps done, entries and ends. Two statements, and the names that steps mention."""
    visits = (
        StepVisit.objects.filter(enrolment__contact_id=contact_id)
        .exclude(step=START)
        .select_related("enrolment__program", "enrolment__version")
    )
    enrolments = Enrolment.objects.filter(contact_id=contact_id).select_related("program")
    if before is not None:
        visits = visits.filter(done_at__lt=before)
        enrolments = enrolments.filter(Q(entered_at__lt=before) | Q(ended_at__lt=before))
    names = Names()
    events = [_step_event(visit, names) for visit in visits.order_by("-done_at", "-visit")[:limit]]
    for enrolment in enrolments.order_by("-entered_at")[:limit]:
        url = reverse("nurture:program-detail", args=[enrolment.program.slug])
        name = {"program": enrolment.program.name}
        if before is None or enrolment.entered_at < before:
            events.append(TimelineEvent(enrolment.entered_at, "login-2", _("Entered “%(program)s”") % name, "", url))
        if enrolment.ended_at is not None and (before is None or enrolment.ended_at < before):
            finished = enrolment.state == Enrolment.State.FINISHED
            title = _("Finished “%(program)s”") if finished else _("Left “%(program)s”")
            if enrolment.state == Enrolment.State.HELD_OUT:
                title = _("Not taken into “%(program)s”")
            why = ended_words(enrolment.ended_why, names)
            events.append(TimelineEvent(enrolment.ended_at, "flag", title % name, why, url))
    events.sort(key=lambda event: event.at, reverse=True)
    return events[:limit]


def _step_event(visit: StepVisit, names: Names) -> TimelineEvent:
    program = visit.enrolment.program
    words, icon = step_words(visit.enrolment.version, visit.step, names)
    node = _find(visit.enrolment.version.tree.get("steps", []), visit.step)
    outcome = KINDS[node["kind"]].outcomes.get(visit.outcome, "") if node and node.get("kind") in KINDS else ""
    detail = _("Program “%(program)s”") % {"program": program.name}
    url = reverse("nurture:program-detail", args=[program.slug])
    return TimelineEvent(visit.done_at, icon, f"{words} → {outcome}" if outcome else words, detail, url)


def ended_words(why: str, names: Names) -> str:
    """Why a walk ended, in words."""
    if why.startswith("program:"):
        return _("Another program, “%(name)s”, ended it.") % {"name": names.program(why.partition(":")[2])}
    return around.ended_words(why, names) or {
        "": "",
        "program_stopped": _("The program was stopped."),
        "by_hand": _("Taken out by hand."),
        "released": _("Let go when a new version was published."),
    }.get(why, why)


def _choices() -> list[tuple[str, str]]:
    return list(Program.objects.filter(archived_at=None).order_by("name").values_list("slug", "name"))


def _in_program(contacts: QuerySet[Contact], slug: str) -> QuerySet[Contact]:
    inside = Enrolment.objects.filter(
        program__slug=slug, contact=OuterRef("pk"), state__in=[Enrolment.State.ACTIVE, Enrolment.State.PARKED]
    )
    return contacts.filter(Exists(inside))
