"""What programs and mails know about one person, for the file that they may ask for; and how mails forget them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F, Func, Q, QuerySet, TextField
from django.utils.translation import gettext_lazy as _

from leads.person_file import Chapter, Person, Row, register_chapter
from nurture.models import (
    BroadcastRecipient,
    Enrolment,
    EntryPlace,
    MailClick,
    MailHit,
    MailResponse,
    ProviderEvent,
    Sending,
    StepVisit,
    Task,
    WebhookCall,
)

MACHINES = frozenset({"html", "headers"})  # the words of a mail are in its text


def register() -> None:
    for chapter in (
        Chapter("programs", _("Programs"), frozenset({"nurture_enrolment"}), _enrolments, order=60),
        Chapter("steps", _("Steps of programs"), frozenset({"nurture_stepvisit"}), _visits, order=61),
        Chapter(
            "mails",
            _("Mails"),
            frozenset({"nurture_sending"}),
            _mails,
            _forget_mails,
            62,
            MACHINES,
            addresses=_written_to,
        ),
        Chapter("mail_responses", _("Opens and clicks"), frozenset({"nurture_mailresponse"}), _responses, order=66),
        Chapter("links", _("Links they followed"), frozenset({"nurture_mailclick"}), _clicks, _forget_clicks, order=67),
        Chapter(
            "hits", _("Requests for links and pictures"), frozenset({"nurture_mailhit"}), _hits, _forget_hits, order=68
        ),
        Chapter(
            "provider_events",
            _("What mail providers said of mails"),
            frozenset({"nurture_providerevent"}),
            _events,
            _forget_events,
            order=69,
        ),
        Chapter("entries", _("Programs that let them in later"), frozenset({"nurture_entryplace"}), _places, order=65),
        Chapter("broadcasts", _("Broadcasts"), frozenset({"nurture_broadcastrecipient"}), _broadcasts, order=65),
        Chapter("tasks", _("Tasks"), frozenset({"nurture_task"}), _tasks, order=63),
        Chapter("webhook_calls", _("Told to other systems"), frozenset({"nurture_webhookcall"}), _calls, order=64),
    ):
        register_chapter(chapter)


def _enrolments(person: Person) -> Iterable[Row]:
    rows = Enrolment.objects.filter(contact=person.contact_id).order_by("entered_at", "id")
    return rows.values(
        "entered_at", "entered_why", "state", "ended_at", "ended_why", "goal_at", program_name=F("program__name")
    )


def _visits(person: Person) -> Iterable[Row]:
    rows = StepVisit.objects.filter(enrolment__contact=person.contact_id).order_by("done_at", "id")
    return rows.values("done_at", "step", "outcome", program_name=F("enrolment__program__name"))


def _sendings(person: Person) -> QuerySet[Sending]:
    """Theirs; questions to confirm that were asked before anybody was made of the address; and mails to them from before their contact was
    deleted. Tests went to a colleague."""
    asked = Q(consent_request__address_hash__in=person.digests)
    before = Q(contact=None, is_test=False, hash__in=person.digests)
    hashed = Func(F("address"), function="leads_address_hash", output_field=TextField())
    return Sending.objects.alias(hash=hashed).filter(Q(contact=person.contact_id) | asked | before)


def _written_to(person: Person) -> Iterable[str]:
    return set(_sendings(person).filter(is_test=False).exclude(address="").values_list("address", flat=True))


def _mails(person: Person) -> Iterable[Row]:
    rows = _sendings(person).filter(is_test=False).order_by("queued_at", "id")
    return rows.values(
        "queued_at", "sent_at", "state", "why_not", "address", "purpose", "subject", "text", "html", "headers"
    )


def _responses(person: Person) -> Iterable[Row]:
    rows = MailResponse.objects.filter(sending__in=_sendings(person), sending__is_test=False).order_by("pk")
    return rows.values(
        "opens",
        "opened_first_at",
        "opened_last_at",
        "clicks",
        "clicked_first_at",
        "clicked_last_at",
        "machine_opens",
        "machine_clicks",
        "unsubscribed_at",
        mail=F("sending__subject"),
    )


def _clicks(person: Person) -> Iterable[Row]:
    rows = MailClick.objects.filter(sending__in=_sendings(person)).order_by("sending_id", "place")
    return rows.values("url", "clicks", "first_at", "last_at", "machine_clicks", mail=F("sending__subject"))


def _forget_clicks(person: Person, now: datetime) -> None:
    """That a link was pressed stays for the counts; an address may hold their name."""
    MailClick.objects.filter(sending__in=_sendings(person)).update(url="")


def _hits(person: Person) -> Iterable[Row]:
    rows = MailHit.objects.filter(sending__in=_sendings(person)).order_by("at", "id")
    return rows.values("at", "url", "agent", "verdict", mail=F("sending__subject"))


def _forget_hits(person: Person, now: datetime) -> None:
    MailHit.objects.filter(sending__in=_sendings(person)).delete()


def _events_of(person: Person) -> QuerySet[ProviderEvent]:
    """They name a mail by its token, which only its row knows."""
    return ProviderEvent.objects.filter(token__in=_sendings(person).filter(is_test=False).values("token"))


def _events(person: Person) -> Iterable[Row]:
    return _events_of(person).order_by("at", "id").values("at", "provider", "kind", "words", "url", "agent")


def _forget_events(person: Person, now: datetime) -> None:
    _events_of(person).delete()


def _forget_mails(person: Person, now: datetime) -> None:
    """That a mail left stays for the counts; to whom, and its words, go. What waits is not sent."""
    rows = Sending.objects.filter(pk__in=list(_sendings(person).values_list("pk", flat=True)))
    waiting = rows.filter(state__in=[Sending.State.QUEUED, Sending.State.HELD])
    waiting.update(state=Sending.State.NOT_SENT, lease_until=None)
    rows.filter(is_test=False).update(address="")
    rows.update(subject="", html="", text="", headers=[], why_not="erased")
    if person.contact is None:  # tests were written as they would have read it; nobody knows any more for whom
        tests = Sending.objects.filter(contact=None, is_test=True)
        tests.update(subject="", html="", text="", headers=[], why_not="erased")


def _calls(person: Person) -> Iterable[Row]:
    """They go with the contact; what a receiver made of them is for the receiver to say."""
    rows = WebhookCall.objects.filter(contact=person.contact_id).order_by("queued_at", "id")
    return rows.values("queued_at", "url", "state", "body", "answered_at", "status")


def _tasks(person: Person) -> Iterable[Row]:
    rows = Task.objects.filter(contact=person.contact_id).order_by("created_at", "id")
    return rows.values("created_at", "title", "due_at", "done_at")


def _broadcasts(person: Person) -> Iterable[Row]:
    """They go with the contact; the mail itself is among the mails."""
    rows = BroadcastRecipient.objects.filter(contact=person.contact_id).order_by("broadcast_id")
    return rows.values(
        "state", "why", "variant", counted_at=F("broadcast__counted_at"), broadcast_name=F("broadcast__name")
    )


def _places(person: Person) -> Iterable[Row]:
    rows = EntryPlace.objects.filter(contact=person.contact_id).order_by("since", "id")
    return rows.values("since", "why", program_name=F("program__name"))
