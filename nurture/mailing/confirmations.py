"""Mails that ask somebody to confirm (double opt-in): leads asks by a row, here it becomes a sending like any other, once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from leads.consent import request_token
from leads.models import ConsentRequest, Purpose
from nurture.models import Sending, Template
from nurture.patterns import CONFIRMATION

AT_ONCE = 500
SLUG = "please-confirm"


def queue_asked(now: datetime) -> int:
    """Requests whose mail is in the outbox now. One statement over a partial index when nobody was asked."""
    if not ConsentRequest.objects.filter(wants_mail=True).exists():
        return 0
    with transaction.atomic():
        rows = list(
            ConsentRequest.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(wants_mail=True)
            .order_by("asked_at", "id")[:AT_ONCE]
        )
        due = [row for row in rows if row.expires_at > now and row.confirmed_at is None]
        template = _template(now) if due else None
        Sending.objects.bulk_create(
            Sending(
                key=f"confirm:{row.pk}",
                contact_id=row.contact_id,
                consent_request=row,
                template=template,
                address=row.address,
                is_operational=True,
                queued_at=now,
                due_at=now,
            )
            for row in due
        )
        ConsentRequest.objects.filter(pk__in=[row.pk for row in rows]).update(wants_mail=False)
    return len(due)


def _template(now: datetime) -> Template:
    """The company's own words once it has changed them."""
    template, _is_new = Template.objects.get_or_create(
        slug=SLUG,
        defaults={
            "name": str(CONFIRMATION.name),
            "subject": CONFIRMATION.subject,
            "preheader": CONFIRMATION.preheader,
            "body": CONFIRMATION.body,
            "created_at": now,
            "updated_at": now,
        },
    )
    return template


def placeholders(request: ConsentRequest) -> dict[str, Any]:
    """What only such a mail may name. One statement."""
    names = Purpose.objects.filter(slug__in=request.purposes).values_list("name", flat=True)
    path = reverse("nurture:confirm", args=[request_token(request)])
    return {"confirm_url": f"{settings.PUBLIC_URL}{path}", "purposes": ", ".join(names)}
