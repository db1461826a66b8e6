"""Visitors of the company's websites: pages of anonymous ones wait apart, and become activities once it is shown whose they are.

Only proof joins: a link of a mail, pressed minutes ago, or a form whose address was confirmed by mail. A browser that belongs to somebody
is never given to anybody else; it goes on as another visitor.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from leads import consent, intake, queries, queries_visitors
from leads.actions import NewActivity, audit, record_activities
from leads.models import ConsentRequest, Contact, ImportJob, Visitor, Website
from leads.queries_visitors import Page
from leads.text import clean, normal_address

log = logging.getLogger(__name__)

MOST_PAGES = 500  # of one anonymous visitor: more is a machine
LONGEST_URL, LONGEST_TITLE = 1000, 300
UTM_KEYS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
FORGOTTEN_AT_ONCE = 1_000
FORM = "website:"  # how the source of a question begins that a form of a website asked
TRIES = 5
_RACES = frozenset({"40001", "40P01", "23503"})  # a deadlock with a merge, a contact that went meanwhile
Result = TypeVar("Result")


class BadVisit(Exception):
    """Not a page of one of our websites; the message is for whoever builds the website."""


# --- What the workspace says -----------------------------------------------------------------------------------------------------


def website() -> Website:
    """One statement."""
    return Website.objects.filter(pk=1).first() or Website(pk=1)


def set_website(*, values: Mapping[str, Any], actor: User | None, now: datetime) -> Website:
    with transaction.atomic():
        row, _is_new = Website.objects.update_or_create(pk=1, defaults=dict(values))
        audit(actor, "set", "website", dict(values), now)
    return row


def is_ours(address: str, sites: Sequence[str]) -> bool:
    """Whether an address, or the origin of a request, is of one of the websites, or of one below them."""
    try:
        parts = urlsplit(address)
        host, has_port = (parts.hostname or "").lower(), parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        has_port and parts.scheme in ("http", "https") and any(host == one or host.endswith(f".{one}") for one in sites)
    )


def page(address: str, title: str, referrer: str, site: Website) -> Page:
    """What is kept of a page: its address without ? and #, which may hold anything about a person; its campaign; the host they came from.

    Raises BadVisit.
    """
    if (
        len(address) > 4 * LONGEST_URL
        or any(char <= " " or char == "\x7f" for char in address)
        or not is_ours(address, site.sites)
    ):
        raise BadVisit("The page is none of the websites in the settings.")
    parts = urlsplit(address)
    said = dict(parse_qsl(parts.query)[:50])
    properties = {key: clean(said[key])[:100] for key in UTM_KEYS if clean(said.get(key, ""))}
    if came_from := _host(referrer, site):
        properties["referrer"] = came_from
    host = (parts.hostname or "").lower()
    url = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path or '/'}"
    return Page(url[:LONGEST_URL], clean(title)[:LONGEST_TITLE], properties)


def _host(referrer: str, site: Website) -> str:
    """Of another website; our own pages lead to each other all the time."""
    try:
        host = (urlsplit(referrer).hostname or "").lower()
    except ValueError:
        return ""
    return "" if is_ours(referrer, site.sites) else host[:253]


# --- Pages and people ------------------------------------------------------------------------------------------------------------


def note_page(visitor_id: uuid.UUID, seen: Page, *, now: datetime) -> bool:
    """Keep a page, or record it as an activity of whom the visitor is; whether it was kept. Three to six statements."""
    return _racing(lambda: _note_page(visitor_id, seen, now))


def _note_page(visitor_id: uuid.UUID, seen: Page, now: datetime) -> bool:
    while True:
        with transaction.atomic():
            person = queries_visitors.whose(visitor_id)
            if person is not None:
                if not person.says_no:  # the activity first: merges lock in this order, too
                    record_activities([_activity(person.contact_id, now, seen)], now=now)
                queries_visitors.see(visitor_id, at=now)
                return not person.says_no
            contact_id, waiting = queries_visitors.see(visitor_id, at=now)
            if contact_id is None:
                if waiting < MOST_PAGES:
                    queries_visitors.keep_page(visitor_id, seen, at=now)
                return waiting < MOST_PAGES
        # joined between the two statements: from now on it is an activity


def _activity(contact_id: int, at: datetime, seen: Page) -> NewActivity:
    return NewActivity(
        contact_id, "page_view", at, url=seen.url, subject=seen.title, source="website", properties=seen.properties
    )


def join(visitor_id: uuid.UUID, contact: Contact, *, by: str, now: datetime) -> uuid.UUID:
    """The visitor is this person: everything kept of it becomes theirs, once. As which visitor the browser goes on: another one, without
    a past, where it belongs to somebody else. Six statements and those of the activities."""
    return _racing(lambda: _join(visitor_id, contact, by, now))


@transaction.atomic
def _join(visitor_id: uuid.UUID, contact: Contact, by: str, now: datetime) -> uuid.UUID:
    known, _waiting = queries_visitors.see(visitor_id, at=now)
    if known == contact.pk:
        return visitor_id
    if known is not None:
        fresh = uuid.uuid4()
        Visitor.objects.create(pk=fresh, contact=contact, first_at=now, last_at=now, joined_at=now, joined_by=by)
        return fresh
    Visitor.objects.filter(pk=visitor_id).update(contact=contact, pages=0, joined_at=now, joined_by=by)
    taken = queries_visitors.take_pages(visitor_id)
    record_activities([_activity(contact.pk, at, seen) for at, seen in taken], now=now)
    return visitor_id


def _racing(what: Callable[[], Result]) -> Result:
    for attempt in range(1, TRIES + 1):
        try:
            return what()
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RACES or attempt == TRIES:
                raise
    raise AssertionError("unreachable")


# --- Forms of a website ----------------------------------------------------------------------------------------------------------


def ask(
    address: str,
    *,
    purposes: Sequence[str],
    form: str,
    visitor_id: uuid.UUID | None,
    language: str,
    proof: dict[str, Any],
    now: datetime,
) -> ConsentRequest | None:
    """Somebody wrote this address into a form: ask it by mail to confirm. Until then it proves nothing, and nothing is joined.

    None when there is nothing to ask or it was asked too often today. Raises ConsentRefused for an unknown purpose.
    """
    kept = proof | ({"visitor": str(visitor_id)} if visitor_id else {})
    source = f"{FORM}{clean(form)[:80]}"
    return consent.ask_consent(address, purposes=purposes, source=source, now=now, language=language, proof=kept)


def confirm(request: ConsentRequest, *, now: datetime, proof: dict[str, Any]) -> list[str]:
    """`consent.confirm`, and, for a form of a website: the address is somebody from now on, and its visitor is them."""
    if not request.source.startswith(FORM):
        return consent.confirm(request, now=now, proof=proof)
    return _racing(lambda: _confirm(request, now, proof))


@transaction.atomic
def _confirm(request: ConsentRequest, now: datetime, proof: dict[str, Any]) -> list[str]:
    still_open = ConsentRequest.objects.filter(pk=request.pk, confirmed_at=None, expires_at__gt=now)
    open_one = still_open.select_for_update(no_key=True).first()
    if open_one is None:
        return []
    open_one.contact = _contact_at(open_one, now)
    given = consent.confirm(open_one, now=now, proof=proof)
    if open_one.contact is not None:
        form = open_one.source.removeprefix(FORM)
        done = NewActivity(open_one.contact.pk, "form_submit", now, subject=form, source="website")
        record_activities([done], now=now)
        if (said := open_one.proof.get("visitor")) and website().joins_forms:
            _join(uuid.UUID(said), open_one.contact, Visitor.By.FORM, now)
    return given


def _contact_at(request: ConsentRequest, now: datetime) -> Contact | None:
    """Whoever has the address, made where nobody has; None where it was merged away."""
    found = (
        request.contact or Contact.objects.filter(pk__in=queries.contacts_at(normal_address(request.address))).first()
    )
    if found is not None:
        return found
    values = {"email": normal_address(request.address), "source": "website", "language": request.language or None}
    outcome = intake.take(ImportJob.Kind.CONTACTS, [intake.Row(1, values)], intake.Circumstances(now, cause="website"))
    return Contact.objects.filter(pk__in=outcome.people_made).first()


# --- Forgetting ------------------------------------------------------------------------------------------------------------------


def forget(now: datetime) -> int:
    """What was kept longer than the settings allow goes: visitors who stayed away, and old pages; how many rows. Short transactions."""
    before, gone = now - timedelta(days=website().days_kept), 0
    for forget_some in (queries_visitors.forget_visitors, queries_visitors.forget_pages):
        while some := forget_some(before=before, limit=FORGOTTEN_AT_ONCE):
            gone += some
    return gone
