"""Verbs over tracking: what the workspace, a template or a program says about it. Each is audited; mails written from then on follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from leads.actions import audit
from nurture.models import Program, Template, TrackingDefaults, TrackingRule


def defaults() -> TrackingDefaults:
    """What holds where nothing else is said. One statement."""
    return TrackingDefaults.objects.filter(pk=1).first() or TrackingDefaults(pk=1)


def set_defaults(
    *,
    is_on: bool,
    tracks_text: bool,
    quiet_countries: Sequence[str],
    utm: Mapping[str, str],
    utm_domains: Sequence[str],
    actor: User | None,
    now: datetime,
) -> TrackingDefaults:
    values = {
        "is_on": is_on,
        "tracks_text": tracks_text,
        "quiet_countries": sorted(set(quiet_countries)),
        "utm": dict(utm),
        "utm_domains": list(utm_domains),
    }
    with transaction.atomic():
        row, _is_new = TrackingDefaults.objects.update_or_create(pk=1, defaults=values)
        audit(actor, "set", "tracking", values, now)
    return row


def rule_of(owner: Template | Program) -> TrackingRule:
    """What one of them does differently; nothing where nobody said so. One statement."""
    named = _named(owner)
    return TrackingRule.objects.filter(**named).first() or TrackingRule(**named)


def set_rule(
    owner: Template | Program, *, is_off: bool, utm: Mapping[str, str], actor: User | None, now: datetime
) -> None:
    """A rule that says nothing is none."""
    with transaction.atomic():
        if is_off or utm:
            TrackingRule.objects.update_or_create(**_named(owner), defaults={"is_off": is_off, "utm": dict(utm)})
        else:
            TrackingRule.objects.filter(**_named(owner)).delete()
        audit(actor, "set tracking of", owner, {"is_off": is_off, "utm": dict(utm)}, now)


def _named(owner: Template | Program) -> dict[str, Any]:
    return {"template" if isinstance(owner, Template) else "program": owner}
