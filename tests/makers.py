"""Plain makers of rows for tests: `make_contact(title="CFO")`. Each returns a stored row with believable defaults."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection

from leads import queries
from leads.access import MARKETER
from leads.models import Activity, Company, Contact, Deal, DealContact, Owner
from segments.actions import save_segment
from segments.models import Segment

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
_number = count(1)


def make_user(role: str = MARKETER, *, username: str | None = None, password: str | None = None) -> User:
    """Somebody with one role (leads.access), or none for an empty one; signs in with the password if one is given."""
    name = username or f"{role.lower() or 'nobody'}-{next(_number)}"
    user = User.objects.create_user(name, email=f"{name}@ripen.test", password=password)
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def make_owner(name: str | None = None, *, user: User | None = None) -> Owner:
    return Owner.objects.create(name=name or f"Owner {next(_number)}", user=user)


def make_company(name: str | None = None, **values: Any) -> Company:
    number = next(_number)
    values.setdefault("external_id", f"company-{number}")
    return Company.objects.create(name=name or f"Company {number}", **values)


def make_contact(email: str | None = None, **values: Any) -> Contact:
    """A contact; company fields may be given as `company={"employees": 60}`. Leaves no marks."""
    number = next(_number)
    values.setdefault("external_id", f"contact-{number}")
    values.setdefault("first_name", "Ada")
    values.setdefault("last_name", f"Person {number}")
    values.setdefault("created_at", NOW)
    if isinstance(values.get("company"), dict):
        values["company"] = make_company(**values["company"])
    return Contact.objects.create(email=email or f"person-{number}@example.test", **values)


def make_deal(
    *contacts: Contact,
    status: str = "open",
    amount: Decimal | int | None = 1000,
    opened_on: date | None = None,
    **values: Any,
) -> Deal:
    values.setdefault("external_id", f"deal-{next(_number)}")
    deal = Deal.objects.create(status=status, amount=amount, opened_on=opened_on or NOW.date(), **values)
    DealContact.objects.bulk_create([DealContact(deal=deal, contact=contact) for contact in contacts])
    return deal


def make_activity(
    contact: Contact,
    kind: str = "page_view",
    *,
    at: datetime = NOW,
    url: str = "",
    subject: str = "",
    source: str = "",
    properties: dict[str, Any] | None = None,
) -> Activity:
    """Stored as the product does it, so signal and mark come with it."""
    row = queries.ActivityRow(
        contact_id=contact.pk,
        kind_id=queries.kind_ids([kind])[kind],
        occurred_at=at,
        asset=(url, subject, source),
        properties=queries.json_text(properties) if properties else None,
    )
    queries.store_activities([row], now=at)
    return Activity.objects.filter(contact=contact).latest("id")


def clear_marks() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM leads_mark")


def make_segment(
    conditions: dict[str, Any] | None = None, *, name: str | None = None, now: datetime = NOW, **values: Any
) -> Segment:
    """A dynamic segment, or a fixed one without conditions; waits for the turn."""
    mode = Segment.Mode.DYNAMIC if conditions is not None else Segment.Mode.FIXED
    return save_segment(
        None,
        name=name or f"Segment {next(_number)}",
        conditions=conditions,
        mode=mode,
        actor=None,
        now=now,
        everybody=True,
        **values,
    )
