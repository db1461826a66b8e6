"""The card that goes to sales with a lead: who, how ripe, why, why now, what to say first. Built once and frozen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.addresses import address_hash
from leads.countries import name_of
from leads.models import ConsentEvent, Contact, DealContact, Suppression
from leads.workspace import zone
from scoring import bant, queries
from scoring.models import Rule, ScoreModel, ScoreVersion
from scoring.occurrences import rule_in_words
from scoring.queries import Candidate, Colleague, Deed, LedgerEntry
from scoring.queries.bant import bant_of
from scoring.queries.cards import open_leads
from scoring.unknowns import asks_of_unknown, only_known
from scoring.words import EARNED
from segments import conditions
from segments.conditions import BadConditions, Catalogue, check, match_ids, sentence
from segments.models import Persona, PersonaAssignment

DEEDS = 40
READ = 5
CALLS = ("phone", "call")
COLLEAGUES = 6
ACTIVE_WITHIN = timedelta(days=60)
CONTENT = ("page_view", "download", "video_watched", "webinar_attended", "webinar_registered", "email_click")


def build(
    candidates: Sequence[Candidate], *, model: ScoreModel, version: ScoreVersion, now: datetime
) -> dict[int, dict[str, Any]]:
    """Contact -> card, a JSON document. Some ten statements whatever the number of leads."""
    ids = [candidate.contact_id for candidate in candidates]
    contacts = {one.pk: one for one in Contact.objects.select_related("company").filter(pk__in=ids)}
    rules = {rule.key: rule for rule in bant.all_rules(version)}
    bant_facts = bant_of(ids, at=now)
    catalogue = Catalogue()
    sentences = {key: rule_in_words(rule, catalogue) for key, rule in rules.items()}
    ledger = queries.ledger_of(ids, model_id=model.pk)
    deeds = queries.latest_deeds(ids, now=now, limit=DEEDS)
    personas = {
        row.contact_id: row.persona
        for row in PersonaAssignment.objects.select_related("persona").filter(contact_id__in=ids, until=None)
    }
    deals = _deals(ids)
    companies = sorted({one.company_id for one in contacts.values() if one.company_id is not None})
    colleagues = queries.active_colleagues(
        companies, model_id=model.pk, since=now - ACTIVE_WITHIN, now=now, limit=COLLEAGUES
    )
    waiting = open_leads([one.contact_id for group in colleagues.values() for one in group], model_id=model.pk)
    unknown = _of_unknown_values(rules, ids, now)
    refused = _refusals(contacts.values(), now)
    here = zone()
    cards: dict[int, dict[str, Any]] = {}
    for candidate in candidates:
        contact = contacts[candidate.contact_id]
        rows = ledger[contact.pk]
        persona = personas.get(contact.pk)
        hidden = {key for key, people in unknown.items() if contact.pk in people}
        reasons = [one for one in _reasons(rows, rules, sentences) if UUID(one["rule"]) not in hidden]
        cards[contact.pk] = {
            "who": _who(contact),
            "total": number(candidate.total),
            "threshold": number(version.threshold),
            "grade": candidate.grade,
            "groups": {group: number(points) for group, points in candidate.groups.items()},
            "reasons": [reason for reason in reasons if reason["points"] > 0],
            "against": [reason for reason in reversed(reasons) if reason["points"] < 0],
            "why_now": why_now(
                rows, rules, version.threshold, deeds[contact.pk], now=now, is_return=candidate.is_return
            ),
            "bant": bant.frozen(bant_facts[contact.pk], version.bant_weights, version.bant_line),
            "read": _read(deeds[contact.pk]),
            "latest": _deed(deeds[contact.pk][0]) if deeds[contact.pk] else None,
            "persona": {"slug": persona.slug, "name": persona.name, "role": persona.get_role_display()}
            if persona
            else None,
            "deals": deals[contact.pk],
            "colleagues": [
                _colleague(one) | {"lead": waiting.get(one.contact_id)}
                for one in colleagues.get(contact.company_id or 0, ())
                if one.contact_id != contact.pk
            ],
            "may_be_mailed": contact.email is not None and "mail" not in refused[contact.pk],
            "may_be_called": bool(contact.phone) and "call" not in refused[contact.pk],
            "consent": _consent_words(refused[contact.pk]),
            "opener": opener(contact, deeds[contact.pk], now=now, here=here),
            "objection": objection(persona),
        }
    return cards


def number(value: Decimal) -> int | float:
    """As JSON numbers: whole ones without a point."""
    return int(value) if value == value.to_integral_value() else float(value)


def words(conditions: Any) -> str:
    """A rule's document as a sentence; empty for one that is no longer readable."""
    try:
        return sentence(check(conditions, allow_unknown_slugs=True))
    except BadConditions:
        return ""


def _who(contact: Contact) -> dict[str, Any]:
    company = contact.company
    return {
        "name": contact.full_name or contact.email or contact.external_id or "",
        "title": contact.title,
        "department": contact.department,
        "email": contact.email or "",
        "phone": contact.phone,
        "country": name_of(contact.country) if contact.country else "",
        "source": contact.source,
        "company": None
        if company is None
        else {
            "id": company.pk,
            "name": company.name,
            "industry": company.industry,
            "employees": company.employees,
            "country": name_of(company.country) if company.country else "",
        },
    }


def _reasons(
    rows: Sequence[LedgerEntry], rules: Mapping[UUID, Rule], sentences: Mapping[UUID, str]
) -> list[dict[str, Any]]:
    """Rules that count now, the most points first, each with the moment since when it does."""
    sums: dict[UUID, Decimal] = defaultdict(Decimal)
    since: dict[UUID, datetime] = {}
    for row in rows:
        if sums[row.rule_key] == 0:
            since[row.rule_key] = row.counts_from
        sums[row.rule_key] += row.points
    found = [
        {
            "rule": str(key),
            "name": rules[key].name,
            "sentence": sentences[key],
            "group": rules[key].group,
            "points": number(points),
            "since": since[key].isoformat(),
        }
        for key, points in sums.items()
        if points != 0 and key in rules
    ]
    return sorted(found, key=lambda reason: (-reason["points"], reason["name"]))


def why_now(
    rows: Sequence[LedgerEntry],
    rules: Mapping[UUID, Rule],
    threshold: Decimal,
    deeds: Sequence[Deed],
    *,
    now: datetime,
    is_return: bool = False,
) -> dict[str, Any]:
    """What moved the lead over the line: the rules of that moment, the total before and after, and what the person did just before."""
    before = total = Decimal(0)
    crossing: list[LedgerEntry] = []
    crossed = (Decimal(0), Decimal(0))
    by_moment: dict[datetime, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        by_moment[row.counts_from].append(row)
    for moment in sorted(by_moment):
        before, total = total, total + sum((row.points for row in by_moment[moment]), Decimal(0))
        if before < threshold <= total:
            crossing, crossed = by_moment[moment], (before, total)
    gains = sorted(
        (row for row in crossing if row.points > 0 and row.rule_key in rules),
        key=lambda row: (-row.points, rules[row.rule_key].name),
    )
    moment = crossing[0].counts_from if crossing else now
    earlier = next((deed for deed in deeds if deed.at <= moment), None)
    return {
        "at": moment.isoformat(),
        "before": number(crossed[0]),
        "after": number(crossed[1]) if crossing else number(total),
        "rules": [{"name": rules[row.rule_key].name, "points": number(row.points)} for row in gains],
        "is_publication": bool(crossing)
        and all(row.cause in ("version_published", "points_changed", "rule_removed") for row in crossing),
        "is_return": is_return,
        "activity": _deed(earlier) if earlier else None,
        "words": _why_now_words(gains, rules, crossed, is_return=is_return, crossing=crossing),
    }


def _why_now_words(
    gains: Sequence[LedgerEntry],
    rules: Mapping[UUID, Rule],
    crossed: tuple[Decimal, Decimal],
    *,
    is_return: bool,
    crossing: Sequence[LedgerEntry],
) -> str:
    if is_return:
        return _("The day has come on which sales wanted to see this lead again.")
    if not crossing:
        return _("Handed over by decision, not by points.")
    points = {"before": _shown(crossed[0]), "after": _shown(crossed[1])}
    if all(row.cause not in EARNED for row in crossing):
        return _("New scoring rules lifted it from %(before)s to %(after)s points.") % points
    if not gains:
        return _("A point taken away no longer counts: from %(before)s to %(after)s points.") % points
    name = rules[gains[0].rule_key].name
    if len(gains) == 1:
        return _("“%(rule)s” lifted it from %(before)s to %(after)s points.") % {"rule": name, **points}
    return ngettext(
        "“%(rule)s” and one more reason lifted it from %(before)s to %(after)s points.",
        "“%(rule)s” and %(count)s more reasons lifted it from %(before)s to %(after)s points.",
        len(gains) - 1,
    ) % {"rule": name, "count": len(gains) - 1, **points}


def _shown(points: Decimal) -> str:
    return f"{points.normalize():f}"


def _deed(deed: Deed) -> dict[str, Any]:
    return {"kind": deed.kind, "label": deed.label, "subject": deed.subject, "url": deed.url, "at": deed.at.isoformat()}


def _read(deeds: Sequence[Deed]) -> list[dict[str, Any]]:
    """The last contents, each once, with how often among the newest deeds."""
    times: dict[tuple[str, str], int] = defaultdict(int)
    first: dict[tuple[str, str], Deed] = {}
    for deed in deeds:
        if deed.kind in CONTENT and (deed.subject or deed.url):
            key = (deed.kind, deed.subject or deed.url)
            times[key] += 1
            first.setdefault(key, deed)
    return [{**_deed(deed), "times": times[key]} for key, deed in list(first.items())[:READ]]


def _colleague(one: Colleague) -> dict[str, Any]:
    return {
        "id": one.contact_id,
        "name": one.name,
        "title": one.title,
        "total": number(one.total),
        "last_at": one.last_at.isoformat(),
    }


def _deals(ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {contact: [] for contact in ids}
    rows = (
        DealContact.objects.select_related("deal").filter(contact_id__in=ids).order_by("-deal__opened_on", "-deal_id")
    )
    for row in rows:
        deal = row.deal
        found[row.contact_id].append(
            {
                "id": deal.pk,
                "product": deal.product,
                "status": deal.status,
                "amount": number(deal.amount) if deal.amount is not None else None,
                "opened_on": deal.opened_on.isoformat() if deal.opened_on else None,
                "closed_on": deal.closed_on.isoformat() if deal.closed_on else None,
                "loss_reason": deal.loss_reason,
            }
        )
    return found


def _refusals(contacts: Any, now: datetime) -> dict[int, dict[str, str]]:
    """contact -> what they do not want: “mail” and “call”, each with why. Two statements over the ledger of consent, by address.

    Purpose “marketing” speaks for every purpose together; “phone” and “call” speak for calls alone.
    """
    people = {address_hash(one.email): one.pk for one in contacts if one.email}
    found: dict[int, dict[str, str]] = {one.pk: {} for one in contacts}
    for digest, why in Suppression.objects.filter(address_hash__in=people).values_list("address_hash", "reason"):
        found[people[digest]]["mail"] = str(Suppression.Reason(why).label)
    latest: dict[tuple[str, str], ConsentEvent] = {}
    events = ConsentEvent.objects.filter(address_hash__in=people, occurred_at__lte=now).exclude(state="asked")
    for event in events.filter(purpose__in=("marketing", *CALLS)).order_by("occurred_at", "id"):
        latest[(event.address_hash, event.purpose)] = event
    for (digest, purpose), event in latest.items():
        if event.state == ConsentEvent.State.WITHDRAWN:
            said = _("withdrawn on %(day)s") % {"day": date_format(event.occurred_at, "SHORT_DATE_FORMAT")}
            kinds = ("call",) if purpose in CALLS else ("mail", "call")
            for kind in kinds:
                found[people[digest]].setdefault(kind, said)
    return found


def _consent_words(refused: Mapping[str, str]) -> str:
    """One line for the card; empty when nothing was refused."""
    words = {"mail": _("No marketing mail: %(why)s."), "call": _("No calls: %(why)s.")}
    return " ".join(words[kind] % {"why": why} for kind, why in refused.items())


def _of_unknown_values(rules: Mapping[UUID, Rule], contacts: Sequence[int], now: datetime) -> dict[UUID, set[int]]:
    """rule -> those of the contacts for whom it holds only because a value is unknown. One statement for each rule that can."""
    found: dict[UUID, set[int]] = {}
    at = None
    for key, rule in rules.items():
        if not isinstance(rule.conditions, dict) or not asks_of_unknown(rule.conditions):
            continue
        try:
            tree = check(only_known(rule.conditions), allow_unknown_slugs=True)
        except BadConditions:
            continue
        at = at or conditions.moment(now)
        found[key] = set(contacts) - set(match_ids(tree, at, contacts=list(contacts), stored=True))
    return found


def opener(contact: Contact, deeds: Sequence[Deed], *, now: datetime, here: ZoneInfo) -> str:
    """One line to open the talk with, from what the person did last that is worth talking about."""
    for kinds, line in _openers():
        deed = next((one for one in deeds if one.kind in kinds and now - one.at <= ACTIVE_WITHIN), None)
        if deed is None or ("%(subject)s" in line and not (deed.subject or deed.url)):
            continue
        return line % {
            "name": contact.first_name or contact.full_name or _("there"),
            "subject": deed.subject or deed.url,
            "day": date_format(deed.at.astimezone(here), "j F"),
            "company": contact.company.name if contact.company else _("your company"),
        }
    if contact.title:
        return _("Hello %(name)s, what is on top of your list as %(title)s this quarter?") % {
            "name": contact.first_name or contact.full_name or _("there"),
            "title": contact.title,
        }
    return _("Hello %(name)s, what made you look at us?") % {
        "name": contact.first_name or contact.full_name or _("there")
    }


def objection(persona: Persona | None) -> str:
    """What such people object first, as the persona says it; empty without one."""
    lines = (persona.objections if persona else "").replace(" – ", "\n").splitlines()
    return next((said for said in (line.strip(' -–•*“”"') for line in lines) if said), "")[:200]


def _openers() -> list[tuple[tuple[str, ...], str]]:
    """The strongest kind first."""
    return [
        (
            ("demo_booked",),
            _("Hello %(name)s, you booked a demo on %(day)s: what should we be sure to show %(company)s?"),
        ),
        (
            ("reply", "call", "meeting"),
            _("Hello %(name)s, thank you for talking to us on %(day)s: what has happened at %(company)s since?"),
        ),
        (
            ("webinar_attended",),
            _("Hello %(name)s, you were with us at “%(subject)s”: which part fits what you plan at %(company)s?"),
        ),
        (
            ("form_submit",),
            _("Hello %(name)s, you wrote to us through “%(subject)s”: what would help %(company)s most?"),
        ),
        (
            ("download",),
            _("Hello %(name)s, you took “%(subject)s” with you on %(day)s: what were you hoping to find in it?"),
        ),
        (("video_watched",), _("Hello %(name)s, you watched “%(subject)s”: does %(company)s face the same?")),
        (
            ("page_view", "email_click"),
            _("Hello %(name)s, you looked at “%(subject)s” on %(day)s: which question did it leave open?"),
        ),
    ]
