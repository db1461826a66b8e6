"""What users are told about leads: rows for the bell, with the moment at which they also want a mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.contrib.auth.models import User

from leads.access import ADMIN
from leads.models import Owner
from scoring.desks import Calendars, calendars
from scoring.models import HandOff, Notice, NoticeWish

DIGEST_HOUR = 8


@dataclass(frozen=True)
class News:
    """Something to tell one user. The same key is told once."""

    user_id: int
    key: str
    kind: str
    hand_off_id: int | None = None  # a lead, or else
    contact_id: int | None = None  # somebody whom a program tells about, in these
    words: str = ""


def tell(news: Sequence[News], *, now: datetime) -> int:
    """Rows written, once per user and key. Five statements, whatever their number."""
    if not news:
        return 0
    users = User.objects.in_bulk({one.user_id for one in news})
    wishes = NoticeWish.objects.in_bulk(list(users))
    owners = dict(Owner.objects.filter(user__in=users).values_list("user_id", "id"))
    hours = calendars(owners.values())
    rows = [
        Notice(
            user_id=one.user_id,
            key=one.key,
            kind=one.kind,
            hand_off_id=one.hand_off_id,
            contact_id=one.contact_id,
            words=one.words,
            at=now,
            mail=Notice.Mail.NONE if due is None else Notice.Mail.WAITING,
            mail_due_at=due,
        )
        for one in news
        if one.user_id in users
        for due in [_mail_due(users[one.user_id], wishes.get(one.user_id), hours, owners.get(one.user_id), now)]
    ]
    return len(Notice.objects.bulk_create(rows, ignore_conflicts=True))


def _mail_due(
    user: User, wish: NoticeWish | None, hours: Calendars, owner_id: int | None, now: datetime
) -> datetime | None:
    """At once, at the next digest of the user's own zone, or never."""
    by = wish.by_mail if wish else NoticeWish.By.DIGEST
    if by == NoticeWish.By.OFF or not user.email or not user.is_active:
        return None
    if by == NoticeWish.By.AT_ONCE:
        return now
    return next_digest(now, hour=wish.digest_hour if wish else DIGEST_HOUR, hours=hours, owner_id=owner_id)


def next_digest(now: datetime, *, hour: int, hours: Calendars, owner_id: int | None) -> datetime:
    """The next moment at which the clock of the owner's zone shows that hour."""
    here = now.astimezone(hours.of(owner_id).zone)
    today = datetime.combine(here.date(), time(hour), here.tzinfo)
    return today if today > now else datetime.combine(here.date() + timedelta(days=1), time(hour), here.tzinfo)


def news_of(hand_offs: Sequence[HandOff], *, kind: str, suffix: str = "") -> list[News]:
    """For each lead the user behind its owner; nothing for leads of nobody or of owners who cannot sign in. One statement."""
    users = dict(
        Owner.objects.filter(
            pk__in={row.owner_id for row in hand_offs if row.owner_id}, user__is_active=True
        ).values_list("pk", "user_id")
    )
    return [
        News(user_id, f"{kind}:{row.pk}{suffix}", kind, row.pk)
        for row in hand_offs
        if row.owner_id is not None and (user_id := users.get(row.owner_id)) is not None
    ]


def admins() -> list[int]:
    """Whom an escalation reaches when the model names nobody. One statement."""
    return list(
        User.objects.filter(is_active=True)
        .filter(groups__name=ADMIN)
        .order_by("pk")
        .distinct()
        .values_list("pk", flat=True)
    )


def read(user: User, *, now: datetime, hand_off_id: int | None = None, notice_id: int | None = None) -> int:
    """Notices marked as read: all of the user's, those about one lead, or one."""
    rows = Notice.objects.filter(user=user, read_at=None)
    if notice_id is not None:
        rows = rows.filter(pk=notice_id)
    if hand_off_id is not None:
        rows = rows.filter(hand_off_id=hand_off_id)
    return rows.update(read_at=now)
