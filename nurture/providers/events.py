"""What a webhook of a provider says: proven by its secret, read by the library's own reader, put into our words. No signal is sent."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import uuid
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from anymail.exceptions import AnymailInsecureWebhookWarning, AnymailNotSupportedWarning
from django.http import HttpRequest
from django.utils.module_loading import import_string

from leads.addresses import keyed_hash
from nurture.models import ProviderEvent
from nurture.providers import amazon
from nurture.providers.accounts import STATES, Provider, webhook_settings
from nurture.providers.refusals import Forged, Unreadable
from nurture.tracking import links, scanners

log = logging.getLogger(__name__)

MOST = 5_000  # events in one request
MOST_WORDS = 2_000  # letters that are looked at where fewer are kept
KEPT_AT_MOST = timedelta(
    days=366
)  # what happened before that happened then: a year 1 is more than the database gives back
_STATUS = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True)
class Reader:
    """The library's reader of one provider's events, called as plain functions."""

    provider: Provider
    view: Any

    @classmethod
    def of(cls, provider: Provider) -> Reader | None:
        """None where no secret is set: then nothing is believed."""
        values = webhook_settings(provider)
        if values is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AnymailNotSupportedWarning)
            warnings.simplefilter(
                "ignore", AnymailInsecureWebhookWarning
            )  # no password, and a signature that is checked
            return cls(provider, import_string(provider.webhook)(**values))

    def wants_password(self, request: HttpRequest) -> bool:
        """A password is set, and the request does not even try one."""
        return bool(self.view.basic_auth) and "Authorization" not in request.headers

    def events(self, request: HttpRequest, *, now: datetime) -> list[ProviderEvent]:
        """Rows that are not stored yet. Raises Forged, Unproven, Unreadable. Amazon's question whether we want its events is answered here."""
        request.encoding = (
            "utf-8"  # what is checked and what is read are the same letters, whatever the request calls them
        )
        try:
            self.view.run_validators(request)
            message: Any = json.loads(request.body) if self.provider.slug == "ses" else None
        except Exception as error:  # also what cannot be read: nobody has proven anything
            raise Forged(type(error).__name__) from error
        if self.provider.slug == "ses":
            amazon.check(message, now=now)
            amazon.confirm(message)
        try:
            found = self.view.parse_events(request)[:MOST]
            return [row for event in found if (row := self._row(event, now)) is not None]
        except Exception as error:
            raise Unreadable(f"{type(error).__name__}: {error}"[:300]) from error

    def _row(self, event: Any, now: datetime) -> ProviderEvent | None:
        """None for what says nothing of a mail (somebody subscribed, an answer from a machine)."""
        if event.event_type not in STATES:
            return None
        said = _document(event.esp_event)
        words = _one_line(event.mta_response or event.description or "")
        agent = _one_line(event.user_agent or "")[:200]
        key = hashlib.sha256(_identity(event, said).encode()).hexdigest()
        place = self.provider.place(said)
        return ProviderEvent(
            provider=self.provider.slug,
            key=key,
            kind=event.event_type,
            token=token_in(event.metadata or {}),
            at=max(min(event.timestamp or now, now), now - KEPT_AT_MOST),
            received_at=now,
            words=words[:300],
            is_about_mailbox=self.provider.is_about_mailbox(said) and _may_be_about_mailbox(words),
            url=_url(event.click_url) if event.event_type == "clicked" else "",
            agent=agent,
            source=keyed_hash(f"{place} {agent}" if place else key),
            suspicion=self.provider.machine(said)
            or scanners.suspicion_of_agent(agent, is_pixel=event.event_type == "opened"),
        )


def keep(rows: Iterable[ProviderEvent]) -> int:
    """Store what is new; how many were sent, new or not. One statement; a replay changes nothing."""
    rows = list(rows)
    ProviderEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
    return len(rows)


def token_in(metadata: Mapping[str, Any]) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(metadata.get("sending", "")))
    except ValueError:
        return None


def _document(event: Any) -> Mapping[str, Any]:
    return event if isinstance(event, dict) else dict(getattr(event, "items", dict)())


def _identity(event: Any, said: Mapping[str, Any]) -> str:
    """The provider's id of the event with its kind, or, where it gives none, all that it says."""
    if event.event_id:
        return f"{event.event_type} {event.event_id}"
    return json.dumps(said, sort_keys=True, default=str)


def _may_be_about_mailbox(words: str) -> bool:
    """The reader's server may say more exactly than the provider: 5.1.x and 5.2.1 are about the mailbox, other 5.x.x are not."""
    found = _STATUS.search(words)
    return found is None or found[0].startswith("5.1.") or found[0] == "5.2.1"


def _url(text: Any) -> str:
    kept = "".join(char for char in str(text or "")[: 2 * links.LONGEST] if char.isprintable())
    return links.without_values(kept)[: links.LONGEST]


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)[:MOST_WORDS]).split())
