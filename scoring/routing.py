"""Who gets a lead: the contact's own owner, else the first routing rule that holds and has somebody free, else as the model says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.access import SALES
from leads.models import Contact, Owner
from scoring import queries
from scoring.desks import Presence, calendars, owner_for, presences
from scoring.models import RoutingRule, ScoreModel
from segments.conditions import BadConditions, check, match_ids, moment

log = logging.getLogger(__name__)

WHY_NOT = {
    "left": gettext_lazy("has left"),
    "away": gettext_lazy("is away"),
    "signed_off": gettext_lazy("cannot sign in any more"),
    "full": gettext_lazy("has as many open leads as they take"),
}


@dataclass(frozen=True)
class Route:
    """Where one lead goes. `why`: a sentence for the lead's history."""

    owner_id: int | None
    rule_id: int | None
    why: str


@dataclass
class _Books:
    """What routing knows while it gives leads away: loads and turns are counted on from lead to lead."""

    presence: dict[int, Presence]
    loads: dict[int, int]
    names: dict[int, str]
    turns: dict[tuple[int, int], int]
    lap: int
    trace: list[tuple[str, str]] = field(default_factory=list)

    def free(self, owner_id: int) -> str:
        """Empty, or why the owner takes no more."""
        there = self.presence.get(owner_id)
        if there is None:
            return "left"
        if not there.is_there:
            return there.why_not
        if there.capacity is not None and self.loads.get(owner_id, 0) >= there.capacity:
            return "full"
        return ""

    def give(self, owner_id: int, rule_id: int | None) -> None:
        self.loads[owner_id] = self.loads.get(owner_id, 0) + 1
        self.lap += 1
        if rule_id is not None:
            self.turns[(rule_id, owner_id)] = self.lap

    def refusal(self, owner_id: int, why: str) -> str:
        return f"{self.names.get(owner_id, '–')} {WHY_NOT[why]}"


def route(
    contacts: Sequence[tuple[int, int | None]],
    *,
    model: ScoreModel,
    now: datetime,
    not_to: int | None = None,
    trace: list[tuple[str, str]] | None = None,
) -> dict[int, Route]:
    """contact -> where its lead goes; `contacts` are (contact, its own owner), in the order in which they are given away.

    Some eight statements and one for each rule in use, whatever the number of contacts. Whoever gives the leads away holds
    queries.lock_routing, so that two at once count each other's. `not_to`: somebody who must not get them. `trace` is filled
    with (step, what it said) of the last contact.
    """
    rules = list(RoutingRule.objects.filter(Q(model=None) | Q(model=model), is_active=True).prefetch_related("seats"))
    seats = {rule.pk: [seat.owner_id for seat in rule.seats.all()] for rule in rules}
    books = _books({one for owners in seats.values() for one in owners} | {own for _c, own in contacts if own}, now)
    if not_to is not None:
        books.presence[not_to] = Presence("left")
    held = _held(rules, [contact for contact, _own in contacts], now)
    found: dict[int, Route] = {}
    fallback: _Fallback | None = None
    for contact, own in contacts:
        books.trace = []
        chosen = _own(own, books) or _by_rules(contact, rules, seats, held, books)
        if chosen is None:
            fallback = fallback or _Fallback(model, books, now, not_to)
            chosen = fallback.route()
        if chosen.owner_id is not None:
            books.give(chosen.owner_id, chosen.rule_id)
        found[contact] = chosen
    if trace is not None:
        trace.extend(books.trace)
    return found


def _books(owner_ids: set[int], now: datetime) -> _Books:
    turns = queries.last_turns()
    return _Books(
        presence=presences(owner_ids, now=now, calendars=calendars(owner_ids)),
        loads=queries.open_loads(sorted(owner_ids)),
        names=dict(Owner.objects.filter(pk__in=owner_ids).values_list("pk", "name")),
        turns=turns,
        lap=max(turns.values(), default=0),
    )


def _held(rules: Sequence[RoutingRule], contacts: Sequence[int], now: datetime) -> dict[int, set[int] | None]:
    """rule -> the contacts for whom it holds, None for everybody; nobody for a rule that cannot be read any more."""
    found: dict[int, set[int] | None] = {}
    at = None
    for rule in rules:
        if rule.conditions is None:
            found[rule.pk] = None
            continue
        try:
            at = at or moment(now)
            tree = check(rule.conditions)
            found[rule.pk] = set(match_ids(tree, at, contacts=list(contacts), stored=True))
        except BadConditions:
            log.warning("routing rule cannot be read", extra={"rule": rule.pk})
            found[rule.pk] = set()
    return found


def _own(owner_id: int | None, books: _Books) -> Route | None:
    """The contact's own owner, whatever their load, unless they are not there."""
    if owner_id is None:
        books.trace.append((_("The contact's own owner"), _("nobody owns the contact")))
        return None
    there = books.presence.get(owner_id)
    if there is None or not there.is_there:
        books.trace.append((_("The contact's own owner"), books.refusal(owner_id, there.why_not if there else "left")))
        return None
    books.trace.append((_("The contact's own owner"), books.names[owner_id]))
    return Route(owner_id, None, _("the contact's own owner"))


def _by_rules(
    contact: int,
    rules: Sequence[RoutingRule],
    seats: dict[int, list[int]],
    held: dict[int, set[int] | None],
    books: _Books,
) -> Route | None:
    for rule in rules:
        people = held[rule.pk]
        if people is not None and contact not in people:
            books.trace.append((rule.name, _("does not hold")))
            continue
        why = _("by the rule “%(rule)s”") % {"rule": rule.name}
        if rule.target == RoutingRule.Target.NOBODY:
            books.trace.append((rule.name, _("stays unassigned")))
            return Route(None, rule.pk, why)
        refused = {owner_id: why_not for owner_id in seats[rule.pk] if (why_not := books.free(owner_id))}
        free = [owner_id for owner_id in seats[rule.pk] if owner_id not in refused]
        if not free:
            said = "; ".join(books.refusal(owner_id, why_not) for owner_id, why_not in refused.items())
            books.trace.append((rule.name, said or _("names nobody")))
            continue
        chosen = min(
            free, key=lambda owner_id: (books.turns.get((rule.pk, owner_id), 0), seats[rule.pk].index(owner_id))
        )
        books.trace.append((rule.name, books.names[chosen]))
        return Route(chosen, rule.pk, why)
    return None


class _Fallback:
    """What the model says of a lead that nobody took: unassigned, or everybody in sales in turn, the fewest open leads first."""

    def __init__(self, model: ScoreModel, books: _Books, now: datetime, not_to: int | None) -> None:
        self._books = books
        self._last: dict[int, int] = {}
        if model.routing == ScoreModel.Routing.IN_TURN:
            self._last = self._people(now, not_to)

    def _people(self, now: datetime, not_to: int | None) -> dict[int, int]:
        owners = [
            owner_for(user)
            for user in User.objects.filter(groups__name=SALES, is_active=True).order_by("pk").distinct()
        ]
        ids = {owner.pk for owner in owners} - {not_to}
        self._books.presence |= presences(ids, now=now, calendars=calendars(ids))
        self._books.names |= {owner.pk: owner.name for owner in owners}
        self._books.loads = queries.open_loads(sorted(ids)) | self._books.loads
        last = queries.last_leads(sorted(ids))
        return {owner_id: last.get(owner_id, 0) for owner_id in sorted(ids)}

    def route(self) -> Route:
        books = self._books
        free = [owner_id for owner_id in self._last if not books.free(owner_id)]
        label = _("Otherwise")
        if not free:
            books.trace.append((label, _("unassigned")))
            return Route(None, None, _("nobody was free") if self._last else _("no rule named anybody"))
        chosen = min(free, key=lambda owner_id: (books.loads.get(owner_id, 0), self._last[owner_id], owner_id))
        self._last[chosen] = max(self._last.values()) + 1
        books.trace.append((label, books.names[chosen]))
        return Route(chosen, None, _("in turn, the fewest open leads first"))


def who_would_get(contact: Contact, *, model: ScoreModel, now: datetime) -> tuple[Route, list[tuple[str, str]]]:
    """The test on the routing page: where this contact's lead would go now, and what each step said. Gives nothing away."""
    trace: list[tuple[str, str]] = []
    found = route([(contact.pk, contact.owner_id)], model=model, now=now, trace=trace)
    return found[contact.pk], trace
