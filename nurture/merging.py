"""What a merge of two contacts does to programs and mails: one walk per person and program, one address to write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.merging import Line, Pair, Part, register_part
from nurture.models import (
    Broadcast,
    BroadcastRecipient,
    Enrolment,
    EntryPlace,
    Sending,
    Task,
    TriggerMatch,
    WebhookCall,
)

UNDER_WAY = (Enrolment.State.ACTIVE, Enrolment.State.PARKED)
WAITING = (Sending.State.QUEUED, Sending.State.HELD)


def register() -> None:
    register_part(
        Part(
            "programs",
            gettext_lazy("Programs and mails"),
            moves=frozenset(
                {"nurture_enrolment", "nurture_sending", "nurture_task", "nurture_webhookcall"}
                | {"nurture_triggermatch", "nurture_entryplace", "nurture_broadcastrecipient"}
            ),
            drops=frozenset(),
            tell=_tell,
            join=_join,
            order=50,
        )
    )


@dataclass(frozen=True)
class _Walks:
    """The walks of two people through one program: those of one person stay, the other's go."""

    stays: Enrolment
    goes: tuple[Enrolment, ...]


def _both(pair: Pair) -> list[_Walks]:
    """Programs that both walked or walk: who is under way stays before who ended, then who is further. One statement."""
    rows = (
        Enrolment.objects.filter(contact__in=[pair.kept, pair.gone]).select_related("program").order_by("program__name")
    )
    of: dict[int, list[Enrolment]] = {}
    for row in rows:
        of.setdefault(row.program_id, []).append(row)
    found = []
    for walks in of.values():
        stays = max(walks, key=lambda one: (one.state in UNDER_WAY, one.visit, one.contact_id == pair.kept.pk))
        goes = tuple(one for one in walks if one.contact_id != stays.contact_id)
        if goes:
            found.append(_Walks(stays, goes))
    return found


def _tell(pair: Pair) -> Sequence[Line]:
    both = _both(pair)
    shared = {one.stays.program_id for one in both}
    lines = []
    for one in both:
        whose = pair.kept if one.stays.contact_id == pair.kept.pk else pair.gone
        words = _("Both are in “%(program)s”: the walk of %(whose)s goes on (%(state)s), the other one ends.")
        lines.append(
            Line(
                words % {"program": one.stays.program, "whose": whose, "state": one.stays.get_state_display()},
                "route",
                is_warning=True,
            )
        )
    alone = Enrolment.objects.filter(contact=pair.gone).exclude(program__in=shared).select_related("program")
    for row in alone.order_by("program__name"):
        words = _("In “%(program)s” (%(state)s): goes on there, and does not enter a second time.")
        lines.append(Line(words % {"program": row.program, "state": row.get_state_display()}, "route"))
    mails = Sending.objects.filter(contact=pair.gone).count()
    if mails:
        words = ngettext("%(n)s mail joins the history.", "%(n)s mails join the history.", mails)
        lines.append(Line(words % {"n": mails}, "mail"))
    waiting = _stopped(both).count() + _second_mails(pair).count()
    if waiting:
        words = ngettext(
            "%(n)s mail that still waits is not sent.", "%(n)s mails that still wait are not sent.", waiting
        )
        lines.append(Line(words % {"n": waiting}, "mail-off"))
    to_come = BroadcastRecipient.objects.filter(contact=pair.gone, broadcast__state__in=Broadcast.UNDER_WAY, why="")
    to_come = to_come.exclude(state=BroadcastRecipient.State.QUEUED).select_related("broadcast").order_by("broadcast")
    words = _("Is to get “%(broadcast)s”: once.")
    lines += [Line(words % {"broadcast": place.broadcast}, "speakerphone") for place in to_come]
    tasks = Task.objects.filter(contact=pair.gone, done_at=None).count()
    if tasks:
        words = ngettext("%(n)s open task comes along.", "%(n)s open tasks come along.", tasks)
        lines.append(Line(words % {"n": tasks}, "checkbox"))
    return lines


def _ending(both: Sequence[_Walks]) -> list[int]:
    return [walk.pk for one in both for walk in one.goes]


def _stopped(both: Sequence[_Walks]) -> models.QuerySet[Sending]:
    """Waiting mails of the walks that end."""
    return Sending.objects.filter(enrolment__in=_ending(both), state__in=WAITING)


def _join(pair: Pair, actor: User | None) -> None:
    """Waiting mails go to the address that stays; where both walked a program, the walk that ends takes its own along."""
    both = _both(pair)
    _stopped(both).update(
        state=Sending.State.NOT_SENT,
        why_not=_("The contact was merged with another one, who gets this mail too."),
        lease_until=None,
    )
    _second_mails(pair).update(
        state=Sending.State.NOT_SENT,
        why_not=_("The contact was merged with another one, who gets this mail too."),
        lease_until=None,
    )
    Enrolment.objects.filter(pk__in=_ending(both)).delete()
    Enrolment.objects.filter(contact=pair.gone).update(contact=pair.kept)
    Sending.objects.filter(contact=pair.gone).update(contact=pair.kept)
    Task.objects.filter(contact=pair.gone).update(contact=pair.kept)
    WebhookCall.objects.filter(contact=pair.gone).update(contact=pair.kept)
    _join_entries(pair)
    _join_broadcasts(pair)
    if pair.address and pair.dropped_address:
        waiting = Sending.objects.filter(contact=pair.kept, state__in=WAITING, is_test=False)
        waiting.filter(address__iexact=pair.dropped_address).update(address=pair.address, lease_until=None)


def _join_entries(pair: Pair) -> None:
    """What one of them met already is nothing new for the other, and the earlier place in a queue counts. What is left goes with the contact."""
    met = TriggerMatch.objects.filter(contact=pair.kept).values("trigger")
    TriggerMatch.objects.filter(contact=pair.gone).exclude(trigger__in=met).update(contact=pair.kept)
    for place in EntryPlace.objects.filter(contact=pair.gone):
        ours = EntryPlace.objects.filter(contact=pair.kept, program=place.program_id)
        if not ours.filter(since__lte=place.since).exists():
            ours.delete()
            EntryPlace.objects.filter(pk=place.pk).update(contact=pair.kept)


def _second_mails(pair: Pair) -> models.QuerySet[Sending]:
    """Of two mails of one broadcast the one that still waits; of two that wait, that of whoever goes."""
    both = Sending.objects.filter(broadcast__isnull=False).exclude(state=Sending.State.NOT_SENT)
    ours, theirs = both.filter(contact=pair.kept), both.filter(contact=pair.gone)
    has_left = theirs.exclude(state__in=WAITING)
    return Sending.objects.filter(state__in=WAITING).filter(
        models.Q(contact=pair.gone, broadcast__in=ours.values("broadcast"))
        | models.Q(contact=pair.kept, broadcast__in=has_left.values("broadcast"))
    )


# Of two places in one audience: who has a mail keeps it; else who was left out for a reason stays out.
_FIRST = (BroadcastRecipient.State.QUEUED, BroadcastRecipient.State.OUT, BroadcastRecipient.State.WAITING)


def _rank(place: BroadcastRecipient) -> int:
    state = BroadcastRecipient.State(place.state)
    if place.why in ("no_address", "same_address"):  # a matter of the contact that is one with the other now
        return len(_FIRST) + 1
    return _FIRST.index(state) if state in _FIRST else len(_FIRST)


def _join_broadcasts(pair: Pair) -> None:
    """One place for each broadcast."""
    ours = {place.broadcast_id: place for place in BroadcastRecipient.objects.filter(contact=pair.kept)}
    for place in BroadcastRecipient.objects.filter(contact=pair.gone):
        other = ours.get(place.broadcast_id)
        if other is not None and _rank(other) <= _rank(place):
            continue
        if other is not None:
            other.delete()
        BroadcastRecipient.objects.filter(pk=place.pk).update(contact=pair.kept)
