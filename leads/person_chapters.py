"""What the facts know about one person, for the file that they may ask for, and how the facts forget them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from leads import queries
from leads.importing import forgetting
from leads.models import (
    Activity,
    AuditEntry,
    ConsentEvent,
    ConsentRequest,
    Contact,
    ContactMerge,
    DataRequest,
    DealContact,
    ImportPerson,
    ImportReject,
    MailPreference,
    StageMove,
    Suppression,
    Visitor,
)
from leads.person_file import Chapter, Person, Row, register_chapter

# Of a proof what tells nobody who it was: hashes, moments, numbers.
_PROOF_THAT_STAYS = ("ip_hash", "request", "asked_at", "sending")


def register() -> None:
    for chapter in (
        Chapter("person", _("Person"), frozenset({"leads_contact"}), _contact, order=0),
        Chapter("deals", _("Deals"), frozenset({"leads_dealcontact"}), _deals, order=10),
        Chapter(
            "activities", _("Activities"), frozenset({"leads_activity"}), _activities, _forget_personal_assets, order=20
        ),
        Chapter("browsers", _("Browsers on our websites"), frozenset({"leads_visitor"}), _browsers, order=21),
        Chapter("stages", _("Life-cycle"), frozenset({"leads_stagemove"}), _stages, order=30),
        Chapter("consent", _("Consent"), frozenset({"leads_consentevent"}), _consent, _forget_proofs, order=70),
        Chapter(
            "confirmations",
            _("Questions to confirm"),
            frozenset({"leads_consentrequest"}),
            _asked,
            _forget_asked,
            order=71,
            addresses=_asked_at,
        ),
        Chapter(
            "mail_wishes", _("Wishes about mail"), frozenset({"leads_mailpreference"}), _wishes, _forget_wishes, 72
        ),
        Chapter(
            "suppression",
            _("Suppression list"),
            frozenset({"leads_suppression"}),
            _suppressed,
            _forget_suppressed,
            order=73,
            addresses=_suppressed_at,
        ),
        Chapter("imports", _("Imports"), frozenset({"leads_importperson"}), _imports, _forget_uploads, order=79),
        Chapter(
            "merges", _("Merged contacts"), frozenset({"leads_contactmerge"}), _merges, order=80, addresses=_merged_at
        ),
        Chapter(
            "rejected_rows",
            _("Rejected rows of files"),
            frozenset({"leads_importreject"}),
            _rejects,
            _forget_rejects,
            81,
        ),
        Chapter("audit", _("What colleagues did"), frozenset({"leads_auditentry"}), _audit, _forget_audit, 90),
        Chapter("data_requests", _("Data requests"), frozenset({"leads_datarequest"}), _requests, _forget_requests, 91),
    ):
        register_chapter(chapter)


def _contact(person: Person) -> Iterable[Row]:
    columns = [field.name for field in Contact._meta.concrete_fields if field.name not in ("owner", "company")]
    rows = Contact.objects.filter(pk=person.contact_id).values(
        *columns, owner_name=F("owner__name"), company_name=F("company__name")
    )
    return list(rows)


def _deals(person: Person) -> Iterable[Row]:
    rows = DealContact.objects.filter(contact=person.contact_id).order_by("deal_id")
    return rows.values(
        external_id=F("deal__external_id"),
        product=F("deal__product"),
        status=F("deal__status"),
        opened_on=F("deal__opened_on"),
        closed_on=F("deal__closed_on"),
    )


def _activities(person: Person) -> Iterable[Row]:
    rows = Activity.objects.filter(contact=person.contact_id).order_by("occurred_at", "id")
    return rows.values(
        "occurred_at",
        "recorded_at",
        "properties",
        what=F("kind__label"),
        subject=F("asset__subject"),
        url=F("asset__url"),
        source=F("asset__source"),
    )


def _forget_personal_assets(person: Person, now: datetime) -> None:
    """Activities go with the contact; what they were about may hold a name, as the subject of a mail does. Those of a contact that was
    deleted before are named by no activity any more."""
    if person.contact is None:
        queries.forget_assets_of_nobody()
    else:
        queries.forget_assets_of(person.contact_id)


def _browsers(person: Person) -> Iterable[Row]:
    """They go with the contact: the browser is nobody's then. Its pages are activities."""
    rows = Visitor.objects.filter(contact=person.contact_id).order_by("first_at", "id")
    return rows.values("id", "first_at", "last_at", "joined_at", "joined_by")


def _stages(person: Person) -> Iterable[Row]:
    rows = StageMove.objects.filter(contact=person.contact_id).order_by("moved_at", "id")
    return rows.values("moved_at", "from_stage", "to_stage", "cause", "reason")


def _by_address(person: Person) -> Q:
    return Q(address_hash__in=person.digests) | Q(contact=person.contact_id)


def _consent(person: Person) -> Iterable[Row]:
    rows = ConsentEvent.objects.filter(_by_address(person)).order_by("occurred_at", "id")
    return rows.values("occurred_at", "purpose", "state", "counts", "source", "wording", "proof")


def _forget_proofs(person: Person, now: datetime) -> None:
    """The rows stay, by the hash: without them a no would be forgotten. What colleagues and browsers said of themselves goes."""
    rows = list(ConsentEvent.objects.filter(_by_address(person)))
    for row in rows:
        row.proof = {key: row.proof[key] for key in _PROOF_THAT_STAYS if key in row.proof}
    ConsentEvent.objects.bulk_update(rows, ["proof"], batch_size=500)


def _asked(person: Person) -> Iterable[Row]:
    rows = ConsentRequest.objects.filter(_by_address(person)).order_by("asked_at", "id")
    return rows.values("asked_at", "address", "purposes", "source", "language", "expires_at", "confirmed_at", "proof")


def _forget_asked(person: Person, now: datetime) -> None:
    ConsentRequest.objects.filter(_by_address(person)).delete()


def _asked_at(person: Person) -> Iterable[str]:
    return ConsentRequest.objects.filter(_by_address(person)).values_list("address", flat=True)


def _wishes(person: Person) -> Iterable[Row]:
    rows = MailPreference.objects.filter(pk__in=person.digests).order_by("updated_at")
    return rows.values("pace", "language", "paused_until", "tracking", "updated_at")


def _forget_wishes(person: Person, now: datetime) -> None:
    MailPreference.objects.filter(pk__in=person.digests).delete()


def _suppressed(person: Person) -> Iterable[Row]:
    rows = Suppression.objects.filter(pk__in=person.digests).order_by("since")
    return rows.values("address", "reason", "source", "since")


def _forget_suppressed(person: Person, now: datetime) -> None:
    """The hash stays, so that the address stays on the list."""
    Suppression.objects.filter(pk__in=person.digests).update(address="", source="erased")


def _suppressed_at(person: Person) -> Iterable[str]:
    return Suppression.objects.filter(pk__in=person.digests).values_list("address", flat=True)


def _merged_at(person: Person) -> Iterable[str]:
    merged = ContactMerge.objects.filter(kept=person.contact_id).exclude(email=None)
    return [str(address) for address in merged.values_list("email", flat=True)]


def _merges(person: Person) -> Iterable[Row]:
    rows = ContactMerge.objects.filter(kept=person.contact_id).order_by("at", "id")
    return rows.values("at", "gone_name", "external_id", "email", "taken")


def _rejected(person: Person) -> list[ImportReject]:
    return forgetting.rejected_rows(person.contact, person.addresses)


def _rejects(person: Person) -> Iterable[Row]:
    return [{"line": row.line, "reason": row.reason, "row": row.raw} for row in _rejected(person)]


def _forget_rejects(person: Person, now: datetime) -> None:
    ImportReject.objects.filter(pk__in=[row.pk for row in _rejected(person)]).delete()


def _forget_uploads(person: Person, now: datetime) -> None:
    """Files on the disk, and what imports that have ended kept of them."""
    forgetting.forget_uploads(person.addresses, now=now)


def _about(person: Person) -> Q:
    """Lines of the audit about the contact and those that became one with it, and lines that name one of their addresses."""
    gone = ContactMerge.objects.filter(kept=person.contact_id).values_list("gone_id", flat=True)
    deleted = AuditEntry.objects.filter(verb="deleted", object_kind="contact", detail__address_hash__in=person.digests)
    ids = {str(person.contact_id), *map(str, gone), *deleted.values_list("object_id", flat=True)}
    about = Q(object_kind="contact", object_id__in=ids)
    for address in person.addresses:
        about |= Q(text__icontains=address) | Q(object_label__icontains=address)
    return about


def _audited(person: Person) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.alias(text=Cast("detail", TextField())).filter(_about(person))


def _audit(person: Person) -> Iterable[Row]:
    rows = _audited(person).order_by("at", "id")
    return rows.values("at", "verb", "object_kind", "object_label", "detail")


def _forget_audit(person: Person, now: datetime) -> None:
    """That something was done stays, and by whom; to whom goes."""
    lines = list(_audited(person).values_list("pk", flat=True))
    AuditEntry.objects.filter(pk__in=lines).update(object_label="", detail={})


def _requests(person: Person) -> Iterable[Row]:
    rows = DataRequest.objects.filter(_by_address(person)).order_by("asked_at", "id")
    return rows.values("asked_at", "kind", "state", "source", "reason", "done_at", "answer")


def _forget_requests(person: Person, now: datetime) -> None:
    DataRequest.objects.filter(_by_address(person)).update(reason="", proof={}, answer="")


def _imports(person: Person) -> Iterable[Row]:
    rows = ImportPerson.objects.filter(contact=person.contact_id).order_by("job__finished_at", "id")
    return rows.values("is_new", finished_at=F("job__finished_at"), file=F("job__file_name"))
