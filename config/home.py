"""What needs attention, by role: the figures and short lists of the home page. Composition: it reads all four rooms."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as midnight
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import Count, F, IntegerField, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from leads import queries
from leads.models import Contact, ImportJob, Mark, Owner, StageMove
from nurture.models import Enrolment, Program, Sending, Task
from scoring.models import HandOff
from segments.models import MembershipTally, Persona, Segment

SHOWN = 6
# The stages that the marketer's month is told by; each number opens the people who arrived there.
MONTH_STAGES = ("mql", "accepted", "opportunity", "customer")
LATE_AFTER_PERIODS = 20  # a beat that runs each second is late after twenty
LATE_AFTER_SECONDS = 30.0  # but a pause shorter than this is nothing to say
MARKS_COUNTED = 100_000


def sales(user: User, now: datetime) -> dict[str, Any]:
    """The queue by time left, mine and nobody's; my answers of this week; my tasks. Five statements by partial indexes."""
    owner = Owner.objects.filter(user=user).first()
    mine_or_nobodys = Q(owner=owner) | Q(owner=None) if owner else Q(owner=None)
    open_ones = HandOff.objects.open()
    figures = open_ones.aggregate(
        mine=Count("pk", filter=Q(owner=owner)) if owner else Count("pk", filter=Q(pk=None)),
        unassigned=Count("pk", filter=Q(owner=None)),
        late=Count("pk", filter=Q(due_at__lt=now)),
    )
    entries = open_ones.filter(mine_or_nobodys).select_related("contact", "contact__company", "owner")
    answers = HandOff.objects.filter(answered_by=user, answered_at__gte=week_start(now))
    return {
        "owner": owner,
        "figures": figures,
        "entries": list(entries.order_by("due_at", "grade", "pk")[:SHOWN]),
        "answers": answers.aggregate(
            all=Count("pk"),
            accepted=Count("pk", filter=Q(state=HandOff.State.ACCEPTED)),
            rejected=Count("pk", filter=Q(state=HandOff.State.REJECTED)),
            recycled=Count("pk", filter=Q(state=HandOff.State.RECYCLED)),
        ),
        "tasks": list(
            Task.objects.filter(Q(assigned_to=user) | Q(assigned_to=None), done_at=None)
            .select_related("contact")
            .order_by(F("due_at").asc(nulls_last=True), "pk")[:SHOWN]
        ),
    }


@dataclass(frozen=True)
class MonthFigure:
    """People who arrived in a stage since the month began."""

    stage: str
    people: int
    link: str


def marketer(now: datetime) -> dict[str, Any]:
    """Programs in flight, segments that changed, this month, imports, sendings, personas to review. Eight statements."""
    month = timezone.localtime(now).date().replace(day=1)
    begin = datetime.combine(month, midnight(), timezone.get_current_timezone())
    arrived = dict(
        StageMove.objects.filter(to_stage__in=MONTH_STAGES, moved_at__gte=begin)
        .values_list("to_stage")
        .annotate(people=Count("contact", distinct=True))
    )
    return {
        "month": month,
        "new_contacts": Contact.objects.filter(created_at__gte=begin).count(),
        "arrived": [
            MonthFigure(stage, arrived.get(stage, 0), f"{stage}:{month.isoformat()}") for stage in MONTH_STAGES
        ],
        "programs": _programs(),
        "segments": _changed_segments(now - timedelta(days=7)),
        "segments_with_problem": list(Segment.objects.in_use().exclude(problem="")[:SHOWN]),
        "imports": list(ImportJob.objects.order_by("-pk")[:4]),
        "sendings": Sending.objects.filter(queued_at__gte=now - timedelta(days=7)).aggregate(
            sent=Count("pk", filter=Q(state=Sending.State.SENT)),
            not_sent=Count("pk", filter=Q(state=Sending.State.NOT_SENT)),
            bounced=Count("pk", filter=Q(state=Sending.State.BOUNCED)),
            uncertain=Count("pk", filter=Q(state=Sending.State.UNCERTAIN)),
        ),
        "personas_due": list(
            Persona.objects.filter(status=Persona.Status.AGREED).filter(
                Q(reviewed_on=None) | Q(reviewed_on__lt=(now - timedelta(days=92)).date())
            )[:SHOWN]
        ),
    }


def _programs() -> list[Program]:
    """Programs in flight with how many people are inside and how many are parked; one count by index for each program."""
    people = Enrolment.objects.filter(version__program=OuterRef("pk")).order_by().values("version__program")
    inside = people.filter(state__in=["active", "parked"]).annotate(n=Count("version"))
    return list(
        Program.objects.filter(state__in=[Program.State.LIVE, Program.State.PAUSED], archived_at=None)
        .annotate(
            inside=_counted(inside.values("n")),
            parked=_counted(people.filter(state="parked").annotate(n=Count("version")).values("n")),
        )
        .order_by("-inside", "name")[:SHOWN]
    )


def _changed_segments(since: datetime) -> list[Segment]:
    """Segments by how many people joined or left since the quarter of an hour of that moment, from their tallies. One statement."""
    begins = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
    tallies = MembershipTally.objects.filter(segment=OuterRef("pk"), slot__gte=begins).order_by().values("segment")
    segments = Segment.objects.in_use().annotate(
        joined=_counted(tallies.annotate(n=Sum("joined")).values("n")),
        left=_counted(tallies.annotate(n=Sum("gone")).values("n")),
    )
    return list(segments.filter(Q(joined__gt=0) | Q(left__gt=0)).order_by(-(F("joined") + F("left")), "name")[:SHOWN])


def _counted(query: Any) -> Coalesce:
    return Coalesce(Subquery(query, output_field=IntegerField()), 0)


@dataclass(frozen=True)
class Beat:
    """The last run of one of the engine's tasks; `ago` in seconds, None when it never ran."""

    name: str
    period: float
    ago: float | None
    seconds: float
    failed: bool

    @property
    def is_late(self) -> bool:
        return self.ago is None or self.ago > max(self.period * LATE_AFTER_PERIODS, LATE_AFTER_SECONDS)

    @property
    def is_well(self) -> bool:
        return not self.failed and not self.is_late

    @property
    def ago_in_words(self) -> str:
        if self.ago is None:
            return _("never yet")
        if self.ago < 120:
            return _("%(n)d s ago") % {"n": self.ago}
        if self.ago < 7200:
            return _("%(n)d min ago") % {"n": self.ago // 60}
        return _("%(n)d h ago") % {"n": self.ago // 3600}


def beats() -> list[Beat]:
    """Each task of the beat table with the word that its last run left in the cache; one round trip."""
    from config.celery import app

    table = {entry["task"]: float(entry["schedule"]) for entry in app.conf.beat_schedule.values()}
    try:
        words = cache.get_many([f"beat:{task}" for task in table])
    except RedisError:
        words = {}
    found = []
    for task, period in table.items():
        word = words.get(f"beat:{task}")
        ago = max(0.0, time.time() - word["at"]) if word else None
        found.append(Beat(task, period, ago, word["seconds"] if word else 0.0, bool(word and word["failed"])))
    return found


def admin(now: datetime) -> dict[str, Any]:
    """Workers, waiting marks, parked people, overdue steps, imports and mail that need somebody. Seven statements."""
    marks = Mark.objects.values("pk")[:MARKS_COUNTED].count()
    oldest = Mark.objects.order_by("pk").values_list("since", flat=True).first() if marks else None
    overdue = Enrolment.objects.filter(
        state=Enrolment.State.ACTIVE, program__state=Program.State.LIVE, next_step_at__lt=now - timedelta(minutes=2)
    ).aggregate(n=Count("pk"), oldest=Min("next_step_at"))
    waiting_for = int((now - oldest).total_seconds()) if oldest else 0
    sendings = Sending.objects.filter(state=Sending.State.QUEUED, due_at__lt=now - timedelta(minutes=5)).count()
    return {
        "beats": beats(),
        "marks": marks,
        "marks_are_more": marks >= MARKS_COUNTED,
        "marks_waiting_seconds": waiting_for,
        "marks_are_well": waiting_for < 120,
        "overdue_steps": overdue["n"],
        "parked": Enrolment.objects.filter(state=Enrolment.State.PARKED).count(),
        "sendings_overdue": sendings,
        "uncertain": Sending.objects.filter(state=Sending.State.UNCERTAIN).count(),
        "failed_imports": list(
            ImportJob.objects.filter(state=ImportJob.State.REFUSED, requested_at__gte=now - timedelta(days=7)).order_by(
                "-pk"
            )[:SHOWN]
        ),
        "contacts": queries.estimated_rows("leads_contact"),
        "activities": queries.estimated_rows("leads_activity"),
        "mail": bool(settings.EMAIL_URL),
        "segments_with_problem": list(Segment.objects.in_use().exclude(problem="")[:SHOWN]),
    }


def week_start(now: datetime) -> datetime:
    """Monday 00:00 of this week in the workspace's zone, which the middleware has made the current one."""
    today = timezone.localtime(now).date()
    monday = today - timedelta(days=today.weekday())
    return datetime.combine(monday, midnight(), timezone.get_current_timezone())
