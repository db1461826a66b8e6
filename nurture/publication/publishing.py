"""The decision of a publish sheet, and taking it back: stored here, carried out by a worker (publishing_job.py)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.utils.translation import gettext as _

from leads.queries_vocabulary import own_definitions
from nurture import actions, around
from nurture.actions import BeingPublished, CannotStart, NurtureRefused
from nurture.kinds import Names
from nurture.models import Program, ProgramVersion, Publication, Trigger
from nurture.publication import effects, moving, publishing_job, queries_publishing
from nurture.triggers import document as way_in
from segments import graph

PATIENCE = 5.0  # seconds that whoever takes back waits for a worker's short transaction, or for the batch in hand


def ask(
    draft: ProgramVersion,
    *,
    edit_number: int,
    intake: str,
    since: datetime | None,
    actor: User | None,
    now: datetime,
    moves: Mapping[str, str] | None = None,
    per_day: int | None = None,
    reason: str = "",
) -> Publication:
    """Decide that the draft becomes the live version; from now on nobody inside walks until a worker has carried it out.

    `intake` says what happens to those who match already: nobody enters, all do, or those who came since a moment; with `per_day` they
    queue, and so many enter a day. `moves` says where those inside do something else than finish on the version they are in (see
    nurture/publication/moving.py). Raises CannotStart, EditedMeanwhile, BeingPublished, and NurtureRefused for a move that does not fit.
    """
    with transaction.atomic():
        own_definitions()
        program = Program.objects.select_for_update(no_key=True).get(pk=draft.program_id)
        version = actions.locked_draft(draft, edit_number)
        if program.archived_at is not None:
            raise NurtureRefused(_("The program is archived."))
        blocking = [problem for problem in actions.problems_of(version, Names(), now) if problem.blocks]
        if blocking:
            raise CannotStart(blocking)
        if intake == ProgramVersion.Intake.SINCE and since is None:
            raise NurtureRefused(_("Say since when."))
        sheet = _sheet(program, version, moves or {})
        effects.close(program, effects.REPUBLISHED, now=now)
        Program.objects.filter(pk=program.pk).update(publishing_since=now)
        return Publication.objects.create(
            program=program,
            version=version,
            number=version.number,
            past=program.versions.filter(state=ProgramVersion.State.LIVE).first(),
            asked_at=now,
            asked_by=actor,
            reason=reason,
            intake=intake,
            since=since,
            per_day=per_day,
            sheet=sheet,
            people_total=sum(row["people"] for row in sheet if row["choice"] != moving.FINISH),
        )


def _sheet(program: Program, version: ProgramVersion, moves: Mapping[str, str]) -> list[moving.Row]:
    try:
        names = Names()
        return moving.rows(moving.stops(program, version, names), version, moves, names)
    except moving.BadChoice as error:
        raise NurtureRefused(str(error)) from error


def publish(
    draft: ProgramVersion,
    *,
    edit_number: int,
    intake: str,
    since: datetime | None,
    actor: User | None,
    now: datetime,
    moves: Mapping[str, str] | None = None,
    per_day: int | None = None,
    reason: str = "",
) -> ProgramVersion:
    """Decide and carry out at once, as a command does; the live version. Raises what `ask` raises."""
    publication = ask(
        draft,
        edit_number=edit_number,
        intake=intake,
        since=since,
        actor=actor,
        now=now,
        moves=moves,
        per_day=per_day,
        reason=reason,
    )
    publishing_job.carry_out(publication, now=now)
    return ProgramVersion.objects.get(pk=draft.pk)


# --- Taking back -----------------------------------------------------------------------------------------------------------------


class CannotTakeBack(NurtureRefused):
    """It stays as it is; the message says why."""


def take_back(publication: Publication, *, reason: str, actor: User | None, now: datetime) -> None:
    """Decide that a publication is taken back: the version before is live from now on, and a worker brings everybody back.

    Allowed while it is carried out, and after that until the new version has affected somebody. Nobody inside walks meanwhile.
    Raises CannotTakeBack with what happened and when.
    """
    try:
        with transaction.atomic():
            own_definitions()
            queries_publishing.wait_at_most(PATIENCE)
            program = Program.objects.select_for_update(no_key=True).get(pk=publication.program_id)
            row = Publication.objects.select_for_update(no_key=True).get(pk=publication.pk)
            if refusal := why_not(row):
                raise CannotTakeBack(refusal)
            if row.switched_at is not None:
                _refuse_unfit(row.past)
                _switch_back(row, program, now)
            Program.objects.filter(pk=program.pk).update(publishing_since=now)
            row.state, row.taken_back_by, row.taken_back_reason = Publication.State.TAKING_BACK, actor, reason
            row.problem, row.next_try_at = "", None
            row.save()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == "55P03":  # lock_not_available
            raise CannotTakeBack(_("The engine is busy with this program. Try again in a moment.")) from error
        raise


def why_not(publication: Publication, names: Names | None = None) -> str:
    """Why a publication cannot be taken back now; empty while it can. One statement over a few indexes."""
    state = publication.state
    if state == Publication.State.TAKING_BACK:
        return _("It is being taken back already.")
    if state == Publication.State.TAKEN_BACK:
        return _("It was taken back already.")
    if state in (Publication.State.ASKED, Publication.State.MOVING):
        return ""
    if publication.effect:
        return effects.words(publication, names or Names())
    if publication.is_cleared or publication.version is None or publication.version.state != ProgramVersion.State.LIVE:
        return _("Its version is not live any more.")
    found = queries_publishing.first_effect(publication.pk) if queries_publishing.affecting([publication.pk]) else None
    if found is not None:
        publication.effect, publication.effect_at, publication.effect_step = found[0], found[1], found[2]
        return effects.words(publication, names or Names())
    return ""


def _refuse_unfit(past: ProgramVersion | None) -> None:
    """The version before may name what is gone by now, or close a loop with what was made since."""
    if past is None:
        return
    blocking = [problem.message for problem in actions.problems_of(past, Names()) if problem.blocks]
    reads = way_in.reads(past.triggers) | around.reads(past.around)
    if loop := graph.loop_through(f"program:{past.program.slug}", reads):
        blocking.append(" → ".join(loop))
    if blocking:
        words = _("Version %(number)d cannot be live again: %(why)s")
        raise CannotTakeBack(words % {"number": past.number, "why": " ".join(blocking)})


def _switch_back(row: Publication, program: Program, now: datetime) -> None:
    """The version before is live, and its triggers let people in. A handful of small statements."""
    ProgramVersion.objects.filter(publications=row).update(state=ProgramVersion.State.PAST)
    if row.past_id is not None:
        ProgramVersion.objects.filter(pk=row.past_id).update(state=ProgramVersion.State.LIVE)
        for kept in row.before["triggers"]:
            Trigger.objects.filter(pk=kept["id"]).update(version=row.past_id, key=kept["key"])
    if row.before["program"]["state"] in (Program.State.DRAFT, Program.State.STOPPED):
        program.state = Program.State(row.before["program"]["state"])
        program.started_at = publishing_job.moment(row.before["program"]["started_at"])
        program.stopped_at = publishing_job.moment(row.before["program"]["stopped_at"])
        program.paused_at = None
    program.updated_at = now
    program.save(update_fields=["state", "started_at", "stopped_at", "paused_at", "updated_at"])


__all__ = ["BeingPublished", "CannotTakeBack", "ask", "publish", "take_back", "why_not"]
