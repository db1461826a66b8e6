"""Who takes our mail: a mail server or a provider's interface, whichever EMAIL_URL names, and how fast it may be offered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic, sleep, time

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from nurture.mailing.smtp import Connection, Server
from nurture.providers import accounts
from nurture.providers.accounts import Account
from nurture.providers.line import ApiLine

PATIENCE_SECONDS = 2.0  # for the next turn; past that mail goes back into the queue until then
_RATE = re.compile(r"([1-9]\d{0,6})/([smh])")
_SPANS = {"s": 1, "m": 60, "h": 3600}


def configured() -> Server | Account | None:
    """The carrier of EMAIL_URL; None keeps mail in the local outbox."""
    if not settings.EMAIL_URL:
        return None
    if accounts.is_named_by(settings.EMAIL_URL):
        return Account.from_url(settings.EMAIL_URL)
    return Server.from_url(settings.EMAIL_URL)


def line_to(carrier: Server | Account) -> Connection | ApiLine:
    return ApiLine(carrier) if isinstance(carrier, Account) else Connection(carrier)


@lru_cache(maxsize=8)  # asked for every mail
def is_tracking(url: str) -> bool:
    """Whether opens and clicks are noted by the carrier, not by links that lead by us."""
    return accounts.is_named_by(url) and Account.from_url(url).is_tracking


@dataclass(frozen=True)
class Pace:
    """So many mails in each span of seconds, counted in the cache: all workers together keep to it."""

    mails: int
    span_seconds: int

    @classmethod
    def from_text(cls, text: str) -> Pace | None:
        """`14/s`, `500/m` or `20000/h`; None for an empty text, which is no limit. Raises ImproperlyConfigured."""
        if not text:
            return None
        found = _RATE.fullmatch(text.replace(" ", ""))
        if not found:
            raise ImproperlyConfigured(f"EMAIL_RATE={text!r}: expected 14/s, 500/m or 20000/h.")
        return cls(int(found[1]), _SPANS[found[2]])

    def seconds_to_wait(self) -> float:
        """0 where a mail may be offered now; it is counted then. Two round trips to the cache."""
        at = time()
        window = int(at // self.span_seconds)
        key = f"nurture:mail-pace:{self.span_seconds}:{window}"
        cache.add(key, 0, timeout=2 * self.span_seconds)
        try:
            if int(cache.incr(key)) <= self.mails:
                return 0.0
        except ValueError:  # it expired between the two
            return 0.0
        return max(0.01, (window + 1) * self.span_seconds - at)

    def take_turn(self, *, until: float) -> float:
        """Wait for the next turn as long as that is soon; 0 where it came, else in how many seconds it does. `until` by time.monotonic()."""
        while wait := self.seconds_to_wait():
            if wait > PATIENCE_SECONDS or monotonic() + wait > until:
                return wait
            sleep(wait)
        return 0.0


def pace() -> Pace | None:
    """What EMAIL_RATE says."""
    return Pace.from_text(settings.EMAIL_RATE)
