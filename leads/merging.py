"""Two contacts that are one person: what would happen, field by field and room by room, and the merge itself.

Higher rooms take part through `register_part`: each says which tables it gives to the contact that stays, which go with the other
one, what that means in words, and does it. A test holds the tables against the schema, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from leads import holding, lists, queries, queries_merging
from leads.actions import TEXT_LENGTHS, Refused, audit
from leads.addresses import address_hash
from leads.consent import fold_consent, refused_alone
from leads.countries import name_of
from leads.lifecycle import DETOURS, POSITION, STAGES
from leads.models import (
    ConsentEvent,
    ConsentRequest,
    Contact,
    ContactMerge,
    CustomField,
    DataRequest,
    DealContact,
    Mark,
    Signal,
    StageMove,
    Suppression,
    Visitor,
)
from leads.retry import retrying
from leads.suppression import suppress
from leads.text import fold, normal_address

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

KEPT, GONE = "kept", "gone"
FIELDS = (
    "email",
    "external_id",
    *(name for name in TEXT_LENGTHS if name != "external_id"),
    "country",
    "owner",
    "company",
)
_STAGE_LABELS = {slug: label for slug, label, _position, _is_detour in STAGES}
# A hard bounce is about a mailbox; these are about the person, whatever the address.
_PERSONAL = (Suppression.Reason.COMPLAINED, Suppression.Reason.BY_HAND)


@dataclass(frozen=True)
class Pair:
    """The two, and the address that the one who stays will have."""

    kept: Contact
    gone: Contact
    address: str | None
    now: datetime

    @property
    def dropped_address(self) -> str | None:
        """The one of the two addresses that is not kept."""
        ours = {one.email for one in (self.kept, self.gone)} - {self.address, None}
        return next(iter(ours), None)


@dataclass(frozen=True)
class Line:
    """One line of the sheet. `icon` is a Tabler icon without “ti-”."""

    text: str
    icon: str
    is_warning: bool = False


@dataclass(frozen=True)
class Part:
    """What one room does. `moves`: tables whose rows the contact that stays gets; `drops`: those whose rows go with the other.

    `tell` reads a few statements and writes nothing; `join` runs within the merge, while both contacts are there, locked.
    """

    key: str
    title: StrOrPromise
    moves: frozenset[str]
    drops: frozenset[str]
    tell: Callable[[Pair], Sequence[Line]]
    join: Callable[[Pair, User | None], None]
    order: int = 100


_parts: dict[str, Part] = {}


def register_part(part: Part) -> None:
    if part.key in _parts:
        raise ValueError(f"Part “{part.key}” is registered already.")
    _parts[part.key] = part


def parts() -> list[Part]:
    return sorted(_parts.values(), key=lambda part: (part.order, part.key))


# --- Which value stays -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """One field of both, as people read it; `taken` says whose value stays."""

    key: str
    label: str
    kept: str
    gone: str
    taken: str

    @property
    def differs(self) -> bool:
        return self.kept != self.gone

    @property
    def name(self) -> str:
        """Of the input on the page."""
        return f"take-{self.key}"


def choices(kept: Contact, gone: Contact, taken: Mapping[str, str] | None = None) -> list[Choice]:
    """Every field that a person chooses for, with what is offered first or was chosen. One statement."""
    rows = []
    for name in FIELDS:
        ours, theirs = _texts(kept, gone, name)
        rows.append(Choice(name, _label(name), ours, theirs, _first(ours, theirs)))
    ours, theirs = (str(_STAGE_LABELS.get(one.stage, one.stage)) for one in (kept, gone))
    rows.append(Choice("stage", capfirst(_("stage")), ours, theirs, further(kept.stage, gone.stage)))
    for field in CustomField.objects.filter(of=CustomField.Of.CONTACT):
        ours, theirs = (lists.plain_text(one.custom.get(field.key)) for one in (kept, gone))
        rows.append(Choice(f"custom.{field.key}", field.label, ours, theirs, _first(ours, theirs)))
    chosen = {key: side for key, side in (taken or {}).items() if side in (KEPT, GONE)}
    return [replace(row, taken=chosen.get(row.key, row.taken)) for row in rows]


def _label(name: str) -> str:
    return capfirst(str(Contact._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def _text(contact: Contact, name: str) -> str:
    value = getattr(contact, name)
    return "" if value is None else name_of(value) if name == "country" else str(value)


def _texts(kept: Contact, gone: Contact, name: str) -> tuple[str, str]:
    """Of both; two companies of one name are told apart by their ids."""
    ours, theirs = _text(kept, name), _text(gone, name)
    if name == "company" and ours == theirs and kept.company_id != gone.company_id:
        return f"{ours} ({_company_key(kept)})", f"{theirs} ({_company_key(gone)})"
    return ours, theirs


def _company_key(contact: Contact) -> str:
    return (contact.company and contact.company.external_id) or str(contact.company_id)


def _first(kept: str, gone: str) -> str:
    return GONE if gone and not kept else KEPT


def further(kept: str, gone: str) -> str:
    """Whose stage is offered: the one further along the line; a detour on either side stays as the kept contact has it."""
    if DETOURS & {kept, gone} or not {kept, gone} <= POSITION.keys():
        return KEPT
    return GONE if POSITION[gone] > POSITION[kept] else KEPT


def tags_of_both(kept: Contact, gone: Contact) -> list[str]:
    """All tags, those of the kept contact first; one that differs only by case stands once."""
    return list({fold(tag): tag for tag in [*reversed(gone.tags), *reversed(kept.tags)]}.values())[::-1]


def address_of(kept: Contact, gone: Contact, taken: Mapping[str, str]) -> str | None:
    """The address that stays by these choices."""
    side = taken.get("email") or _first(_text(kept, "email"), _text(gone, "email"))
    return gone.email if side == GONE else kept.email


# --- What will happen ------------------------------------------------------------------------------------------------------


def sheet(pair: Pair) -> list[tuple[Part, list[Line]]]:
    """What each room does, in words, before anything is done; rooms with nothing to say are left out. A few statements a room."""
    told = [(part, list(part.tell(pair))) for part in parts()]
    return [(part, lines) for part, lines in told if lines]


def register() -> None:
    """The facts' own parts."""
    register_part(
        Part(
            "facts",
            _lazy("Facts"),
            moves=frozenset(
                {"leads_activity", "leads_activitykey", "leads_signal", "leads_dealcontact", "leads_stagemove"}
                | {"leads_contactmerge", "leads_visitor"}
            ),
            drops=frozenset({"leads_importperson"}),
            tell=_tell_facts,
            join=_join_facts,
            order=10,
        )
    )
    register_part(
        Part(
            "consent",
            _lazy("Consent"),
            moves=frozenset({"leads_consentevent", "leads_consentrequest", "leads_datarequest"}),
            drops=frozenset(),
            tell=_tell_consent,
            join=_join_consent,
            order=20,
        )
    )


def _tell_facts(pair: Pair) -> list[Line]:
    kept, gone = pair.kept, pair.gone
    activities = Signal.objects.filter(contact=gone).aggregate(n=Sum("n"))["n"] or 0
    theirs = set(DealContact.objects.filter(contact=gone).values_list("deal", flat=True))
    both = len(theirs & set(DealContact.objects.filter(contact=kept).values_list("deal", flat=True)))
    moves = StageMove.objects.filter(contact=gone).count()
    fresh = [tag for tag in gone.tags if fold(tag) not in {fold(ours) for ours in kept.tags}]
    lines = []
    if activities:
        words = ngettext("%(n)s activity joins the timeline.", "%(n)s activities join the timeline.", activities)
        lines.append(Line(words % {"n": f"{activities:,}"}, "activity"))
    if theirs:
        words = ngettext("%(n)s deal lists this person.", "%(n)s deals list this person.", len(theirs))
        more = ngettext(" %(n)s of them lists both.", " %(n)s of them list both.", both) % {"n": both} if both else ""
        lines.append(Line(words % {"n": len(theirs)} + more, "briefcase"))
    if fresh:
        lines.append(Line(_("Tags come along: %(tags)s.") % {"tags": ", ".join(fresh)}, "tags"))
    if moves:
        words = ngettext(
            "%(n)s move between stages joins the history.", "%(n)s moves between stages join the history.", moves
        )
        lines.append(Line(words % {"n": moves}, "arrow-ramp-right"))
    if gone.created_at < kept.created_at:
        lines.append(Line(_("Known since the earlier of the two days."), "user-plus"))
    return lines


def _join_facts(pair: Pair, actor: User | None) -> None:
    gone, kept = pair.gone, pair.kept
    queries_merging.join_activities(gone=gone.pk, kept=kept.pk)
    queries_merging.join_deals(gone=gone.pk, kept=kept.pk)
    StageMove.objects.filter(contact=gone).update(contact=kept)
    ContactMerge.objects.filter(kept=gone).update(kept=kept)
    Visitor.objects.filter(contact=gone).update(contact=kept)


# --- Consent: the stricter of the two ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stricter:
    """What the address that stays takes over from the other one: purposes withdrawn, and a reason to be left in peace."""

    purposes: tuple[str, ...] = ()
    reason: str = ""


def stricter(pair: Pair) -> Stricter:
    """Three statements, none when there is one address only."""
    if not pair.address or not pair.dropped_address:
        return Stricter()
    ours, theirs = address_hash(pair.address), address_hash(pair.dropped_address)
    suppressed = dict(Suppression.objects.filter(address_hash__in=[ours, theirs]).values_list("address_hash", "reason"))
    reason, here = suppressed.get(theirs, ""), suppressed.get(ours, "")
    is_graver = reason == Suppression.Reason.COMPLAINED != here
    return Stricter(
        tuple(sorted(refused_alone(gone=pair.dropped_address, kept=pair.address))),
        reason if is_graver or (reason in _PERSONAL and not here) else "",
    )


def _tell_consent(pair: Pair) -> list[Line]:
    lines = []
    known = [one.email for one in (pair.kept, pair.gone) if one.email]
    taken = stricter(pair)
    if taken.purposes or taken.reason:
        words = _("%(other)s was withdrawn: so is %(address)s from now on. The stricter of the two counts.")
        lines.append(
            Line(words % {"other": pair.dropped_address, "address": pair.address}, "shield-off", is_warning=True)
        )
    suppressed = set(
        Suppression.objects.filter(address_hash__in=[address_hash(one) for one in known]).values_list(
            "address_hash", flat=True
        )
    )
    words = _("%(address)s gets no marketing mail, and stays so.")
    lines += [Line(words % {"address": one}, "mail-off") for one in known if address_hash(one) in suppressed]
    if pair.dropped_address:
        words = _("%(address)s is not this person's address any more; its consent stays under its own hash.")
        lines.append(Line(words % {"address": pair.dropped_address}, "mail"))
    return lines


def _join_consent(pair: Pair, actor: User | None) -> None:
    """The ledger's rows come along; what one address withdrew holds for the other one too."""
    ConsentEvent.objects.filter(contact=pair.gone).update(contact=pair.kept)
    ConsentRequest.objects.filter(contact=pair.gone).update(contact=pair.kept)
    # Where both asked for the same, the other one's request stays open by itself, by the hash of its address.
    open_ones = DataRequest.objects.filter(state=DataRequest.State.OPEN)
    asked = list(open_ones.filter(contact=pair.kept).values_list("kind", flat=True))
    both = open_ones.filter(contact=pair.gone, kind__in=asked)
    DataRequest.objects.filter(contact=pair.gone).exclude(pk__in=list(both.values_list("pk", flat=True))).update(
        contact=pair.kept
    )
    taken = stricter(pair)
    if not pair.address or not pair.dropped_address:
        return
    fold_consent(gone=pair.dropped_address, kept=pair.address, now=pair.now, contact=pair.kept)
    if taken.reason:
        suppress(pair.address, reason=taken.reason, source="merge", now=pair.now)


# --- The merge -------------------------------------------------------------------------------------------------------------


def merge_contacts(
    kept: Contact,
    *,
    gone: Contact,
    take: Mapping[str, str],
    actor: User | None,
    now: datetime,
    seen: Iterable[datetime] = (),
) -> ContactMerge:
    """Fold `gone` into `kept`. `take`: field -> “kept” or “gone”, for those not named what `choices` offers first.

    One transaction that locks both; a lost race is tried again. Refused when one is gone, when both are the same, when a key is
    no field, or when either changed since it was `seen` (their updated_at). There is no way back: the page says so.
    """
    if kept.pk == gone.pk:
        raise Refused(_("These are the same contact."))
    moments = sorted(seen)
    return retrying(lambda: _merge(kept.pk, gone.pk, take, moments, actor, now))


@transaction.atomic
def _merge(
    kept_id: int, gone_id: int, take: Mapping[str, str], seen: list[datetime], actor: User | None, now: datetime
) -> ContactMerge:
    holding.hold([kept_id, gone_id])
    queries_merging.lock_pair((kept_id, gone_id))
    rows = Contact.objects.select_related("owner", "company").in_bulk([kept_id, gone_id])
    if len(rows) < 2:
        raise Refused(_("One of the two was deleted or merged meanwhile."))
    kept, gone = rows[kept_id], rows[gone_id]
    if seen and seen != sorted([kept.updated_at, gone.updated_at]):
        raise Refused(_("One of the two was changed meanwhile: look again."))
    sides = {row.key: row.taken for row in choices(kept, gone, take)}
    if unknown := take.keys() - sides.keys():
        raise Refused(_("“%(field)s” is no field that can be chosen.") % {"field": sorted(unknown)[0]})
    pair = Pair(kept, gone, address_of(kept, gone, sides), now)
    for part in parts():
        part.join(pair, actor)
    record = _record(pair, sides, actor)
    values = _values(kept, gone, sides)
    gone.delete()
    _settle(kept, values, now)
    Contact.objects.filter(pk=kept.pk).update(**values, updated_at=now)
    queries.mark([kept.pk], *queries.FACETS_OF_A_NEW_CONTACT, Mark.Facet.DEFINITION)
    audit(
        actor,
        "merged",
        Contact.objects.get(pk=kept.pk),
        {"gone": record.gone_id, "name": record.gone_name, "external_id": record.external_id, "taken": record.taken},
        now,
    )
    return record


def _values(kept: Contact, gone: Contact, sides: Mapping[str, str]) -> dict[str, Any]:
    """Column -> value of the contact that stays. Refused when neither key would be left."""
    of = {KEPT: kept, GONE: gone}
    values: dict[str, Any] = {name: getattr(of[sides[name]], name) for name in FIELDS}
    if not values["email"] and not values["external_id"]:
        raise Refused(_("A contact needs an e-mail address or an external id."))
    custom = {
        key: of[sides.get(f"custom.{key}", KEPT)].custom.get(key) for key in dict.fromkeys([*kept.custom, *gone.custom])
    }
    values["custom"] = {key: value for key, value in custom.items() if value is not None}
    values["tags"] = tags_of_both(kept, gone)
    values["created_at"] = min(kept.created_at, gone.created_at)
    values["stage"] = of[sides["stage"]].stage
    values["stage_since"] = of[sides["stage"]].stage_since
    return values


def _settle(kept: Contact, values: dict[str, Any], now: datetime) -> None:
    """The joined history of stages ends where the contact stands: one more move says so where it would not."""
    last = StageMove.objects.filter(contact=kept).order_by("-moved_at", "-id").first()
    before = last.to_stage if last else kept.stage
    if before == values["stage"]:
        return
    StageMove.objects.create(
        contact=kept,
        moved_at=max(now, last.moved_at) if last else now,
        from_stage=before,
        to_stage=values["stage"],
        cause="merge",
        reason=_("Two contacts became one"),
    )
    values["stage_since"] = now


def _record(pair: Pair, sides: Mapping[str, str], actor: User | None) -> ContactMerge:
    kept, gone = pair.kept, pair.gone
    dropped = (kept if sides["external_id"] == GONE else gone).external_id
    other = (gone if sides["external_id"] == GONE else kept).external_id
    return ContactMerge.objects.create(
        kept=kept,
        gone_id=gone.pk,
        gone_name=str(gone)[:500],
        external_id=dropped if dropped != other else None,
        email=normal_address(pair.dropped_address) if pair.dropped_address else None,
        at=pair.now,
        actor=actor,
        taken=[key for key, side in sides.items() if side == GONE],
    )
