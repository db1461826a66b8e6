"""Plays the people who get the demo's mails: most say whether their reading may be noted, some open, a few press a link; a scanner looks, too."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from leads.addresses import address_hash
from leads.models import Contact, MailPreference
from nurture.models import Sending
from nurture.tracking import links, queries
from nurture.tracking.codes import PIXEL

_AGREE = 0.7
_OPEN, _CLICK, _SCANNED = 0.46, 0.3, 0.05
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_PLACES = 2  # of a mail's first links


class Readers:
    """Each person decides by chance of their own, so that another number of contacts changes nobody's answer."""

    def __init__(self, *, seed: int, until: datetime) -> None:
        self.seed, self.until = seed, until
        self._last_contact, self._last_sent = 0, datetime.min.replace(tzinfo=until.tzinfo)

    def agree(self, now: datetime) -> None:
        """Whoever came since the last look says yes, or nothing. Two statements."""
        people = Contact.objects.filter(pk__gt=self._last_contact).exclude(email=None).order_by("pk")
        found = list(people.values_list("pk", "email"))
        self._last_contact = found[-1][0] if found else self._last_contact
        wishes = [
            MailPreference(address_hash=address_hash(str(email)), tracking=MailPreference.Tracking.YES, updated_at=now)
            for pk, email in found
            if self._chance("agrees", pk).random() < _AGREE
        ]
        MailPreference.objects.bulk_create(wishes, ignore_conflicts=True)

    def read(self) -> None:
        """Mails that left since the last look are read in the two days after, or not. What was noted is judged as its moment comes."""
        left = Sending.objects.filter(sent_at__gt=self._last_sent, is_tracked=True, state=Sending.State.SENT)
        for sending in left.only("pk", "html", "sent_at").order_by("sent_at", "pk"):
            assert sending.sent_at is not None
            self._last_sent = sending.sent_at
            self._read(sending, sending.sent_at)

    def _read(self, sending: Sending, sent_at: datetime) -> None:
        random = self._chance("reads", sending.pk)
        if random.random() < _SCANNED:
            self._press(sending, 1, sent_at + timedelta(seconds=2), suspicion="agent")
        if random.random() >= _OPEN:
            return
        opened_at = sent_at + timedelta(minutes=3) + timedelta(hours=min(40.0, random.expovariate(1 / 7)))
        self._hit(sending, PIXEL, opened_at, url="")
        if random.random() < _CLICK:
            self._press(sending, random.randint(1, _PLACES), opened_at + timedelta(seconds=random.uniform(9, 200)))

    def _press(self, sending: Sending, place: int, at: datetime, *, suspicion: str = "") -> None:
        address = links.address_at(sending.html, place)
        if links.is_web_address(address) and not links.is_ours(address):
            self._hit(sending, place, at, url=links.without_values(address), suspicion=suspicion)

    def _hit(self, sending: Sending, place: int, at: datetime, *, url: str, suspicion: str = "") -> None:
        if at <= self.until:
            source = "scanner" if suspicion else f"reader {sending.pk}"
            queries.note_hit(sending.pk, place, url=url, source=source, agent=_BROWSER, suspicion=suspicion, at=at)

    def _chance(self, what: str, number: int) -> Random:
        return Random(f"{self.seed}:{what}:{number}")  # noqa: S311 — a demo, not a secret
