"""Lets mail out: prepares, claims, offers it to the server, records the answer. Never twice; what may have left is “uncertain”.

A sending is *queued*, then *reserved* by a worker that prepares it (still queued: a crash gives it back), then *claimed*: in one
statement that looks at suppression, consent and program again it becomes “being sent”, committed before the server hears of it.
The answer makes it sent, bounced, queued again or not sent. A worker that dies in between leaves its journal, from which the next one
goes on; the mail that was on its way, or all past their lease where there is no journal, are uncertain, shown in the outbox, and a
person decides.
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache as cache_of_functions
from math import ceil
from pathlib import Path
from queue import SimpleQueue

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import queries_consent
from leads.actions import NewActivity, record_activities
from leads.addresses import domain_of
from leads.consent import preference_token
from leads.models import Suppression, Workspace
from leads.suppression import suppress as suppress_address
from leads.workspace import workspace
from nurture.mailing import carriers, confirmations, domain_rests, journal, queries_sending, window
from nurture.mailing.carriers import configured, line_to
from nurture.mailing.message import BadAddress, Envelope, Message, ascii_address, build
from nurture.mailing.smtp import Answer, Connection, Server, Verdict
from nurture.models import Sending
from nurture.providers.accounts import Account
from nurture.providers.line import ApiLine
from nurture.templating import translations
from nurture.templating.placeholders import context_for
from nurture.templating.readers import Readers
from nurture.templating.rendering import BadTemplate, Mail
from nurture.tracking import plans as tracking

log = logging.getLogger(__name__)

SLICE = (
    64  # mails between two commits; one slice a connection and one more are uncertain after the loss of a whole machine
)
RESERVED = timedelta(minutes=2)  # to prepare a slice
LEASE = timedelta(minutes=5)  # to send it; no mail of it is begun after half of that
BACK_OFF = (1, 5, 15, 60, 240, 720, 1440)  # minutes after each temporary refusal; past the last the mail is given up
LONGEST_WAIT = 10  # days that a mail waits for a pause or the frequency budget; after that its moment is over
SERVER_DOWN = "nurture:mail-server-down"
JOURNALS = "sending"  # folder in RIPEN_HOME
SERVER_REST = 15  # seconds without a new try after the server could not be reached

WHY = {
    "no_address": gettext_lazy("The contact has no e-mail address."),
    "unsubscribed": gettext_lazy("The address is unsubscribed."),
    "bounced": gettext_lazy("Mail to the address bounced before."),
    "complained": gettext_lazy("The reader complained about an earlier mail."),
    "by_hand": gettext_lazy("The address was suppressed by hand."),
    "domain": gettext_lazy("Nobody at this domain is mailed."),
    "role": gettext_lazy("It is the address of a role, not of a person."),
    "withdrawn": gettext_lazy("Consent was withdrawn."),
    "not_confirmed": gettext_lazy("Consent was asked for but never confirmed."),
    "no_consent": gettext_lazy("The purpose needs consent, and none was given."),
    "quiet_country": gettext_lazy("The purpose needs a yes where they live, and none was given."),
    "paused": gettext_lazy("The reader wants no mail for a while."),
    "window": gettext_lazy("It waits for the hours in which mail leaves."),
    "frequency": gettext_lazy("The reader gets no more mails in these days."),
    "domain_pace": gettext_lazy("It waits its turn: the domain gets only so many mails a minute."),
    "domain_rests": gettext_lazy("It waits: the reader's mail server asked for less of our mail."),
    "program_stopped": gettext_lazy("The program was stopped before."),
    "broadcast_cancelled": gettext_lazy("The broadcast was cancelled before."),
    "left_program": gettext_lazy("The contact left the program before."),
    "budget": gettext_lazy(
        "The budget of mails to one person, over all programs, was used up."
    ),  # rows before decision 0114
    "contact_gone": gettext_lazy("The contact was deleted before."),
    "erased": gettext_lazy("The person was erased at their own wish."),
    "worker_died": gettext_lazy("The worker died while it was sending; the mail may have left."),
}


UNWRITTEN = "unwritten: "  # in front of why a mail could not be written; such a mail can be asked for again


def why_words(why_not: str) -> str:
    """A stored reason in words: ours for a code, else the server's own."""
    if why_not.startswith(UNWRITTEN):
        return _("It could not be written: %(why)s") % {"why": why_not.removeprefix(UNWRITTEN)}
    return str(WHY.get(why_not, why_not))


@dataclass
class Report:
    """What one run did. `problem` says why mail waits although it is due."""

    sent: int = 0
    not_sent: int = 0
    bounced: int = 0
    again: int = 0
    later: int = 0
    uncertain: int = 0
    problem: str = ""
    rest_seconds: float = SERVER_REST
    by_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Clock:
    """Moments of a run that starts at `now`, whatever the machine's clock does meanwhile."""

    now: datetime
    began: float

    def at(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self.began)


@dataclass(frozen=True)
class _Slice:
    """Mails prepared by this worker, by sending."""

    reserved_until: datetime
    addresses: list[str]
    written: list[queries_sending.Written]
    messages: dict[int, Message]


def unsubscribe_url(sending: Sending) -> str:
    return f"{settings.PUBLIC_URL}{_unsubscribe_path().replace(str(_NOBODY), str(sending.token))}"


def preferences_url(sending: Sending) -> str:
    path = _preferences_path().replace(_PLACE, preference_token(sending.address, sending.contact_id))
    return f"{settings.PUBLIC_URL}{path}"


_PLACE = "0place0"
_NOBODY = uuid.UUID(int=0)


@cache_of_functions
def _unsubscribe_path() -> str:
    return reverse("nurture:unsubscribe", args=[_NOBODY])


@cache_of_functions
def _preferences_path() -> str:
    return reverse("nurture:preferences", args=[_PLACE])


def problem_of_setup(server: Server | Account | None, home: Workspace) -> str:
    """Why nothing can be sent at all, or an empty text."""
    if server is not None and not home.sender_email:
        return _("No mail leaves: Settings name no sender address.")
    return ""


def send_due(now: datetime, *, seconds: float = 50.0, server: Server | Account | None = None) -> Report:
    """Send what is due, in slices, until nothing is left or the time is used up. Three small statements when nothing is due.

    Safe in many processes at once. While one slice is offered to the server, the next is prepared and claimed.
    """
    clock, report = _Clock(now, time.monotonic()), Report()
    _take_up(clock.at(), report)
    report.uncertain += queries_sending.give_up_leases(now=now)
    server = server or configured()
    if server is None:
        _keep_in_outbox(clock, seconds, report)
        return report
    if (rest := cache.get(SERVER_DOWN)) and rest["host"] == server.name:
        report.problem = rest["words"]
        return report
    if report_problem := problem_of_setup(server, workspace()):
        report.problem = report_problem
        return report
    with (
        journal.kept(_journals()) as notes,
        closing(_Lines(server, notes)) as lines,
        _brisk_threads(),
        ThreadPoolExecutor(server.connections, thread_name_prefix="smtp") as post,
    ):
        _pipeline(clock, seconds, report, lines, post)
    if report.problem:
        cache.set(SERVER_DOWN, {"host": server.name, "words": report.problem}, min(SERVER_REST, report.rest_seconds))
    return report


def _journals() -> Path:
    return Path(settings.RIPEN_HOME) / JOURNALS


def _take_up(at: datetime, report: Report) -> None:
    """Finish what runs that died on this machine had begun: only mails that still are under their lease."""
    for slices in journal.left_behind(_journals()):
        for one in slices:
            with transaction.atomic():
                still = Sending.objects.filter(
                    pk__in=one.answers, state=Sending.State.SENDING, lease_until=one.lease_until
                )
                mine = set(still.values_list("pk", flat=True))
                _record({key: answer for key, answer in one.answers.items() if key in mine}, at, report)


class _Lines:
    """The connections of one run to the carrier, each used by one thread at a time, and the run's journal.

    `resting`: domains whose server asked for less meanwhile; `pace`: how many mails the carrier may be offered.
    """

    def __init__(self, server: Server | Account, notes: journal.Journal) -> None:
        self.notes = notes
        self.carrier = Sending.Carrier.API if isinstance(server, Account) else Sending.Carrier.SMTP
        self.pace = carriers.pace()
        self.resting: set[str] = set()
        self.all = [line_to(server) for _each in range(server.connections)]
        self._free = SimpleQueue[Connection | ApiLine]()
        for connection in self.all:
            self._free.put(connection)

    @contextmanager
    def one(self) -> Iterator[Connection | ApiLine]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)

    def close(self) -> None:
        for connection in self.all:
            connection.close()


@contextmanager
def _brisk_threads() -> Iterator[None]:
    """Python's usual 5 ms before a thread gives way are four waits a mail for each that talks to the server."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.00002)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _pipeline(clock: _Clock, seconds: float, report: Report, lines: _Lines, post: ThreadPoolExecutor) -> None:
    """Claim the next slice while others are offered, so that no line to the server rests: one slice more than lines is under way."""
    under_way: deque[Future[dict[int, Answer]]] = deque()
    while True:
        has_time = time.monotonic() - clock.began < seconds and not report.problem
        prepared = _prepare(clock, report) if has_time else None
        if prepared and (claimed := _claim(prepared, clock.at(), lines.carrier, report, lines.notes)):
            last_begin = time.monotonic() + LEASE.total_seconds() / 2
            under_way.append(post.submit(_offer, lines, claimed, last_begin))
        if under_way and (len(under_way) > len(lines.all) or not prepared):
            _record(under_way.popleft().result(), clock.at(), report)
        elif not prepared:
            return


def _keep_in_outbox(clock: _Clock, seconds: float, report: Report) -> None:
    """Without a server: each mail is written as it would leave, and kept."""
    while time.monotonic() - clock.began < seconds and (prepared := _prepare(clock, report)):
        with transaction.atomic():
            claimed = _claim(prepared, clock.at(), Sending.Carrier.OUTBOX, report)
            _record({sending_id: Answer(Verdict.SENT) for sending_id, _message in claimed}, clock.at(), report)


def _prepare(clock: _Clock, report: Report) -> _Slice | None:
    """Reserve the next mails and write them; None when none is due. One statement, four more when there are some."""
    at = clock.at()
    reserved_until = at + RESERVED
    rows = queries_sending.reserve_sendings(now=at, lease_until=reserved_until, limit=SLICE)
    if not rows:
        return None
    _readdress(rows)
    home, readers = workspace(), Readers(rows, at=at)
    tracked = tracking.plans(rows)
    failed: dict[str, list[int]] = {}
    prepared = _Slice(reserved_until, sorted({row.address for row in rows}), [], {})
    for sending in rows:
        try:
            message, written = write(sending, home, at=at, plan=tracked.get(sending.pk), readers=readers)
        except BadAddress as error:
            failed.setdefault(str(error)[:300], []).append(sending.pk)
        except BadTemplate as error:
            failed.setdefault(f"{UNWRITTEN}{error}"[:300], []).append(sending.pk)
        except Exception as error:  # one mail must not stop the others, nor come back for ever
            log.exception("mail could not be written", extra={"sending": sending.pk})
            failed.setdefault(f"{UNWRITTEN}{type(error).__name__}", []).append(sending.pk)
        else:
            prepared.written.append(written)
            prepared.messages[sending.pk] = message
    for why, sending_ids in failed.items():
        report.not_sent += Sending.objects.filter(
            pk__in=sending_ids, state=Sending.State.QUEUED, lease_until=reserved_until
        ).update(state=Sending.State.NOT_SENT, why_not=why, lease_until=None)
    return prepared


def _readdress(rows: Sequence[Sending]) -> None:
    """A mail goes to the address that its reader has now: what they said there since decides. A statement for each that changed."""
    for sending in rows:
        if sending.is_test or sending.contact is None or sending.consent_request_id is not None:
            continue
        if (address := sending.contact.email or "") != sending.address:
            sending.address = address
            Sending.objects.filter(pk=sending.pk, state=Sending.State.QUEUED).update(address=address)


def write(
    sending: Sending,
    home: Workspace,
    *,
    at: datetime,
    plan: tracking.Plan | None = None,
    readers: Readers | None = None,
) -> tuple[Message, queries_sending.Written]:
    """The mail of one sending, as bytes and as it is stored. Raises BadTemplate or BadAddress. One statement without its plan."""
    plan = plan or tracking.plans([sending]).get(sending.pk, tracking.UNTOUCHED)
    language = language_of(sending, plan.language)
    readers = readers or Readers([sending], at=at)
    template = readers.cupboard.compiled(sending.template, language)
    link = unsubscribe_url(sending)
    context = context_for(
        sending.contact,
        workspace=home,
        unsubscribe_url=link,
        address=sending.address,
        preferences_url=preferences_url(sending),
    )
    if sending.consent_request is not None:
        context |= confirmations.placeholders(sending.consent_request)
    context |= readers.about(sending, sending.template, template)
    mail = plan.with_values(template.fill(context), template.hosts)
    if sending.is_test:
        mail = replace(mail, subject=_("[Test] %(subject)s") % {"subject": mail.subject})
    envelope = Envelope(
        token=sending.token,
        sender_name=mail.sender_name or home.sender_name or home.name,
        sender=home.sender_email or "mail@localhost",
        recipient_name=sending.contact.full_name if sending.contact and not sending.is_test else "",
        recipient=sending.address,
        reply_to=answers_to(mail, home),
        unsubscribe_url="" if sending.is_operational else link,
        inbound=settings.INBOUND_ADDRESS,
        list_name="" if sending.is_operational else sending.purpose,
        campaign=sending.template.slug,
        is_automatic=sending.is_operational and not sending.is_test,
        language=language or sending.template.language,
    )
    is_left_to_carrier = carriers.is_tracking(settings.EMAIL_URL)
    leaves = mail if is_left_to_carrier else plan.leading_by_us(mail, template.hosts)
    message = replace(build(leaves, envelope, at=at), is_tracked=plan.is_on)
    stored = queries_sending.Written(
        sending.pk,
        message.message_id,
        mail.subject,
        _storable(mail.html),
        _storable(mail.text),
        message.headers,
        None if sending.is_operational else window.opens_at(home, sending.contact, at),
        plan.is_on,
        language or sending.template.language,
    )
    return message, stored


def language_of(sending: Sending, wish: str) -> str:
    """That the mail is written in; empty: its template's own. What its reader asked for comes before what we know of them."""
    if sending.is_test and sending.language in translations.tags(sending.template):
        return sending.language
    return translations.chosen(sending.template, wish, sending.contact.language if sending.contact else "")


def answers_to(mail: Mail, home: Workspace) -> str:
    """Where answers go: what the template says where that is an address, else the workspace's."""
    if mail.reply_to:
        with suppress(BadAddress):
            return ascii_address(mail.reply_to)
    return home.reply_to


def _storable(text: str) -> str:
    return text.replace("\0", "")


def _claim(
    prepared: _Slice, at: datetime, carrier: str, report: Report, notes: journal.Journal | None = None
) -> list[tuple[int, Message]]:
    if not prepared.written:
        return []
    if notes:
        notes.claims(list(prepared.messages), at + LEASE)
    with transaction.atomic():
        queries_consent.lock_addresses_in_clear(prepared.addresses)
        states = queries_sending.claim_sendings(
            prepared.written,
            now=at,
            reserved_until=prepared.reserved_until,
            lease_until=at + LEASE,
            carrier=carrier,
            wait_days=LONGEST_WAIT,
        )
    report.not_sent += sum(state == Sending.State.NOT_SENT for state in states.values())
    report.later += sum(state == Sending.State.QUEUED for state in states.values())
    mine = {sending_id for sending_id, state in states.items() if state == Sending.State.SENDING}
    return [(sending_id, message) for sending_id, message in prepared.messages.items() if sending_id in mine]


def _offer(lines: _Lines, mails: Sequence[tuple[int, Message]], last_begin: float) -> dict[int, Answer]:
    """Runs beside the main thread and touches no database. No mail is begun after `last_begin`: its lease could end meanwhile."""
    answers: dict[int, Answer] = {}
    has_ended = False
    with lines.one() as connection:
        for sending_id, message in mails:
            if has_ended or time.monotonic() > last_begin:
                answers[sending_id] = Answer(Verdict.NOT_TRIED)
                continue
            answers[sending_id] = _offer_one(lines, connection, sending_id, message, last_begin)
            has_ended = answers[sending_id].verdict in _ENDS_A_SLICE
    return answers


def _offer_one(
    lines: _Lines, connection: Connection | ApiLine, sending_id: int, message: Message, last_begin: float
) -> Answer:
    domain = domain_of(message.recipient)
    if domain in lines.resting:
        return Answer(Verdict.DOMAIN_RESTS)
    if lines.pace and (wait := lines.pace.take_turn(until=last_begin)):
        return Answer(Verdict.PACED, str(ceil(wait)))
    lines.notes.offers(sending_id)
    answer = _delivered(connection, sending_id, message)
    lines.notes.answered(sending_id, answer)
    if answer.is_slow_down:
        lines.resting.add(domain)
    return answer


def _delivered(connection: Connection | ApiLine, sending_id: int, message: Message) -> Answer:
    try:
        return connection.deliver(message)
    except Exception as error:  # whatever it was, the mail may be out: say so instead of sending it again
        log.exception("delivery failed", extra={"sending": sending_id})
        connection.close()
        return Answer(Verdict.UNCERTAIN, type(error).__name__)


@transaction.atomic
def _record(answers: dict[int, Answer], at: datetime, report: Report) -> None:
    """Store what became of the mails."""
    by_verdict: dict[Verdict, list[int]] = {}
    for sending_id, answer in answers.items():
        by_verdict.setdefault(answer.verdict, []).append(sending_id)
    if bad := by_verdict.get(
        Verdict.BAD_ADDRESS
    ):  # they will be suppressed: their locks before any other, see lock_addresses
        queries_consent.lock_addresses_in_clear(Sending.objects.filter(pk__in=bad).values_list("address", flat=True))
    if sent := by_verdict.get(Verdict.SENT):
        left(sent, at)
        report.sent += len(sent)
    for sending_id in by_verdict.get(Verdict.TEMPORARY, []):
        _try_again(sending_id, answers[sending_id].words, at, report)
    slow = [sending_id for sending_id, answer in answers.items() if answer.is_slow_down]
    if slow or Verdict.DOMAIN_RESTS in by_verdict:
        report.later += domain_rests.begin(slow, by_verdict.get(Verdict.DOMAIN_RESTS, []), at=at)
    if waiting := [sending_id for verdict in _WAITING for sending_id in by_verdict.get(verdict, [])]:
        Sending.objects.filter(pk__in=waiting, state=Sending.State.SENDING).update(
            state=Sending.State.QUEUED, lease_until=None, claimed_at=None, tries=Greatest(F("tries") - 1, 0)
        )
    for sending_id in by_verdict.get(Verdict.SERVER_DOWN, []):
        why = (
            _("No mail leaves: %(why)s")
            if answers[sending_id].is_refusal
            else _("The mail server does not answer: %(why)s")
        )
        report.problem = why % {"why": answers[sending_id].words}
    for sending_id in by_verdict.get(Verdict.PACED, []):
        report.rest_seconds = float(answers[sending_id].words)
        report.problem = _("So many mails as EMAIL_RATE allows have left; the next ones follow in %(n)s seconds.") % {
            "n": answers[sending_id].words
        }
    for sending_id in by_verdict.get(Verdict.UNCERTAIN, []):
        report.uncertain += Sending.objects.filter(pk=sending_id, state=Sending.State.SENDING).update(
            state=Sending.State.UNCERTAIN, lease_until=None, why_not=answers[sending_id].words or "worker_died"
        )
    for verdict in (Verdict.BAD_ADDRESS, Verdict.PERMANENT):
        for sending_id in by_verdict.get(verdict, []):
            _bounce(sending_id, answers[sending_id].words, at, report, is_mailbox=verdict is Verdict.BAD_ADDRESS)


_ENDS_A_SLICE = (Verdict.SERVER_DOWN, Verdict.PACED)
_WAITING = (Verdict.SERVER_DOWN, Verdict.NOT_TRIED, Verdict.PACED)


def left(sending_ids: Sequence[int], at: datetime) -> None:
    """These mails are out: those that were being sent, or uncertain, become sent. Two statements and those of activities."""
    activities = queries_sending.set_sent(sending_ids, sent_at=at)
    record_activities(
        [
            NewActivity(contact_id, "email_sent", at, subject=subject, source=f"template:{slug}")
            for _sending_id, contact_id, subject, slug in activities
        ],
        now=at,
    )


def _try_again(sending_id: int, words: str, at: datetime, report: Report) -> None:
    sending = Sending.objects.get(pk=sending_id)
    if sending.state != Sending.State.SENDING:
        return
    sending.lease_until, sending.why_not, sending.claimed_at = None, words, None
    if sending.tries > len(BACK_OFF):
        sending.state = Sending.State.NOT_SENT
        sending.why_not = (_("Given up after %(n)d tries: ") % {"n": sending.tries} + words)[:300]
        report.not_sent += 1
    else:
        sending.state = Sending.State.QUEUED
        sending.due_at = at + timedelta(minutes=BACK_OFF[sending.tries - 1])
        report.again += 1
    sending.save(update_fields=["state", "due_at", "lease_until", "why_not", "claimed_at"])


def _bounce(sending_id: int, words: str, at: datetime, report: Report, *, is_mailbox: bool) -> None:
    bounce(Sending.objects.select_related("template").get(pk=sending_id), words, at, is_mailbox=is_mailbox)
    report.bounced += 1


def bounce(sending: Sending, words: str, at: datetime, *, is_mailbox: bool) -> None:
    """The mail came back. Where it is about the mailbox the address goes on the suppression list: the caller holds its lock."""
    sending.state, sending.lease_until, sending.why_not = Sending.State.BOUNCED, None, words or "bounced"
    sending.save(update_fields=["state", "lease_until", "why_not"])
    if is_mailbox and not sending.is_test and sending.address:
        suppress_address(sending.address, reason=Suppression.Reason.BOUNCED, source=f"smtp: {words}"[:200], now=at)
    if sending.contact_id is not None and not sending.is_test:
        activity = NewActivity(
            sending.contact_id,
            "email_bounce",
            at,
            subject=sending.subject,
            source=f"template:{sending.template.slug}",
            properties={"answer": words},
        )
        record_activities([activity], now=at)
