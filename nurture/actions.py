"""Verbs: make, edit, start, pause, resume and stop programs; decide about mails; unsubscribe. Each is one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import NewActivity, audit, record_activities, withdraw_consent
from leads.consent import Holder, withdraw_by_hash
from leads.models import Contact, Mark, Purpose
from leads.queries import mark
from leads.queries_vocabulary import own_definitions
from nurture import around, entering, queries, rings, splits, tree
from nurture.kinds import Names, Problem
from nurture.models import (
    Broadcast,
    Enrolment,
    EntryPlace,
    EntryQueue,
    MailBudget,
    Program,
    ProgramVersion,
    Sending,
    Stationery,
    Task,
    Template,
)
from nurture.patterns.pattern import Letter, Pattern
from nurture.publication import effects, pausing
from nurture.templating import history, proofreading
from nurture.templating import translations as spoken
from nurture.tracking.judging import note_unsubscribed
from nurture.triggers import document as way_in
from segments import graph
from segments.models import Segment

MOST_PAST_EDITS = 30  # of a draft that can be taken back
RESERVED_SLUGS = frozenset(
    {
        "add",
        "new",
        "outbox",
        "broadcasts",
        "templates",
        "tasks",
        "health",
        "budget",
        "webhooks",
        "u",
        "results",
        "tracking",
        "images",
        "stationery",
    }
)


class NurtureRefused(Exception):
    """It cannot be done; the message is for people."""


class EditedMeanwhile(NurtureRefused):
    """Somebody else changed the draft or template since the page was opened."""

    def __init__(self) -> None:
        super().__init__(
            _("Somebody else changed this meanwhile. Here is how it stands now; please make your change again.")
        )


class BeingPublished(NurtureRefused):
    """A publication of the program is carried out or taken back."""

    def __init__(self) -> None:
        super().__init__(_("A publication of this program is under way; wait until it is done."))


class CannotStart(NurtureRefused):
    """Problems block the start; they come with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(" ".join(problem.message for problem in problems))


# --- Programs: drafts --------------------------------------------------------------------------------------------------------


def create_program(
    *,
    name: str,
    trigger_segment: Segment | None,
    actor: User | None,
    now: datetime,
    notes: str = "",
    slug: str = "",
    document: tree.Document | None = None,
    triggers: way_in.Document | None = None,
) -> Program:
    """A program with a first draft; whoever enters the segment enters it, or whoever the triggers say. Raises BadTree, BadTriggers."""
    tree.check(document or tree.empty())
    if triggers is None:
        triggers = way_in.of_segment(trigger_segment.slug) if trigger_segment is not None else []
    way_in.check(triggers)
    with transaction.atomic():
        own_definitions()
        _refuse_loop(f"program:{slug}", triggers)
        program = Program.objects.create(
            slug=slug or free_slug(name, Program), name=name, notes=notes, created_at=now, updated_at=now
        )
        ProgramVersion.objects.create(
            program=program,
            number=1,
            triggers=triggers,
            trigger_segment=_first_segment(triggers),
            tree=document or tree.empty(),
        )
        audit(actor, "created", program, {}, now)
    return program


def create_from_pattern(
    pattern: Pattern, *, name: str, trigger_segment: Segment | None, notes: str, actor: User | None, now: datetime
) -> Program:
    """A draft of the pattern's steps, with templates of its own for its letters. Raises NurtureRefused."""
    with transaction.atomic():
        slugs = {letter.key: _template_of(letter, name, actor, now).slug for letter in pattern.letters}
        program = create_program(
            name=name,
            trigger_segment=trigger_segment,
            notes=notes,
            document=pattern.with_templates(slugs),
            actor=actor,
            now=now,
        )
        if pattern.around:
            draft = program.versions.get(state=ProgramVersion.State.DRAFT)
            set_around(draft, edit_number=draft.edit_number, document=dict(pattern.around), now=now)
            program.versions.filter(pk=draft.pk).update(past_edits=[])
    return program


def _template_of(letter: Letter, program: str, actor: User | None, now: datetime) -> Template:
    return save_template(
        None,
        name=f"{program}: {letter.name}"[:200],
        subject=letter.subject,
        preheader=letter.preheader,
        format=Template.Format.MJML,
        body=letter.body(),
        actor=actor,
        now=now,
    )


def free_slug(name: str, model: type[Program] | type[Template]) -> str:
    """A slug of the name that nobody has yet."""
    stem = slugify(name)[:90] or model.__name__.lower()
    taken = RESERVED_SLUGS | set(model._default_manager.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(slug for slug in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)


def rename_program(
    program: Program, *, name: str, notes: str, actor: User | None, now: datetime, priority: int | None = None
) -> None:
    """Name, notes and priority, which hold at once; None leaves the priority."""
    program.name, program.notes = name, notes
    program.priority = program.priority if priority is None else priority
    program.updated_at = now
    program.save(update_fields=["name", "notes", "priority", "updated_at"])
    audit(actor, "renamed", program, {"priority": program.priority}, now)


def set_budget(*, mails: int | None, days: int, actor: User | None, now: datetime) -> None:
    """So many marketing mails to a person within so many days, over all programs; None lifts the budget."""
    with transaction.atomic():
        if mails is None:
            MailBudget.objects.all().delete()
        else:
            MailBudget.objects.update_or_create(pk=1, defaults={"mails": mails, "days": days})
        audit(actor, "set", "budget of mails", {"mails": mails, "days": days}, now)


def start_draft(program: Program, *, actor: User | None, now: datetime) -> ProgramVersion:
    """The draft, made from the live (else the newest) version when there is none. People inside notice nothing."""
    with transaction.atomic():
        if Program.objects.select_for_update(no_key=True).get(pk=program.pk).publishing_since is not None:
            raise BeingPublished
        draft = program.versions.filter(state=ProgramVersion.State.DRAFT).first()
        if draft is not None:
            return draft
        newest = program.versions.order_by("-number").first()
        live = program.versions.filter(state=ProgramVersion.State.LIVE).first() or newest
        number = (newest.number if newest else 0) + 1
        audit(actor, "began a draft of", program, {"version": number}, now)
        return ProgramVersion.objects.create(
            program=program,
            number=number,
            triggers=live.triggers if live else [],
            trigger_segment=live.trigger_segment if live else None,
            tree=live.tree if live else tree.empty(),
            around=live.around if live else {},
            intake=live.intake if live else ProgramVersion.Intake.NEW,
            entered_since=live.entered_since if live else None,
        )


def edit_draft(
    draft: ProgramVersion,
    *,
    edit_number: int,
    change: Callable[[tree.Document], tree.Document],
    now: datetime,
) -> ProgramVersion:
    """The draft with its tree changed. Raises EditedMeanwhile, NoSuchStep or BadTree; then nothing is stored."""
    with transaction.atomic():
        own_definitions()
        row = locked_draft(draft, edit_number)
        document = change(row.tree)
        tree.check(document)
        _remember(row)
        row.tree, row.edit_number = document, row.edit_number + 1
        row.save(update_fields=["tree", "edit_number", "past_edits"])
        Program.objects.filter(pk=row.program_id).update(updated_at=now)
    return row


def set_triggers(
    draft: ProgramVersion, *, edit_number: int, triggers: way_in.Document, now: datetime
) -> ProgramVersion:
    """Who enters. Raises EditedMeanwhile, BadTriggers, and NurtureRefused when one asks who is in this program."""
    way_in.check(triggers)
    with transaction.atomic():
        own_definitions()
        row = locked_draft(draft, edit_number)
        _refuse_loop(f"program:{row.program.slug}", triggers)
        _remember(row)
        row.triggers, row.trigger_segment = triggers, _first_segment(triggers)
        row.edit_number += 1
        row.save(update_fields=["triggers", "trigger_segment", "edit_number", "past_edits"])
        Program.objects.filter(pk=row.program_id).update(updated_at=now)
    return row


def _first_segment(triggers: way_in.Document) -> Segment | None:
    slugs = way_in.segments(triggers)
    return Segment.objects.filter(slug=slugs[0]).first() if slugs else None


def set_around(draft: ProgramVersion, *, edit_number: int, document: around.Document, now: datetime) -> ProgramVersion:
    """What stands around the steps: goal, exits, re-entry … Raises EditedMeanwhile, BadAround, and NurtureRefused for a loop."""
    around.check(document)
    with transaction.atomic():
        own_definitions()
        row = locked_draft(draft, edit_number)
        loop = graph.loop_through(f"program:{row.program.slug}", around.reads(document))
        if loop:
            raise NurtureRefused(
                _("Who stays would depend on this program itself: %(loop)s.") % {"loop": " → ".join(loop)}
            )
        _remember(row)
        row.around, row.edit_number = document, row.edit_number + 1
        row.save(update_fields=["around", "edit_number", "past_edits"])
        Program.objects.filter(pk=row.program_id).update(updated_at=now)
    return row


def _remember(row: ProgramVersion) -> None:
    """Keep how the draft is now, for undo; the oldest goes where there are too many."""
    was = {"tree": row.tree, "around": row.around, "triggers": row.triggers}
    row.past_edits = [*row.past_edits, was][-MOST_PAST_EDITS:]


def undo_edit(draft: ProgramVersion, *, edit_number: int, now: datetime) -> ProgramVersion:
    """The draft as it was before the last edit. Raises EditedMeanwhile, and NurtureRefused where nothing is kept or it does not fit now."""
    with transaction.atomic():
        own_definitions()
        row = locked_draft(draft, edit_number)
        if not row.past_edits:
            raise NurtureRefused(_("There is no edit to take back."))
        was = row.past_edits[-1]
        loop = graph.loop_through(f"program:{row.program.slug}", around.reads(was["around"]))
        if loop:
            raise NurtureRefused(
                _("Who stays would depend on this program itself: %(loop)s.") % {"loop": " → ".join(loop)}
            )
        _refuse_loop(f"program:{row.program.slug}", was["triggers"])
        row.tree, row.around, row.triggers = was["tree"], was["around"], was["triggers"]
        row.trigger_segment = _first_segment(row.triggers)
        row.past_edits, row.edit_number = row.past_edits[:-1], row.edit_number + 1
        row.save(update_fields=["tree", "around", "triggers", "trigger_segment", "past_edits", "edit_number"])
        Program.objects.filter(pk=row.program_id).update(updated_at=now)
    return row


def _refuse_loop(key: str, triggers: way_in.Document) -> None:
    loop = graph.loop_through(key, way_in.reads(triggers))
    if loop:
        raise NurtureRefused(_("Who enters depends on this program itself: %(loop)s.") % {"loop": " → ".join(loop)})


def locked_draft(draft: ProgramVersion, edit_number: int) -> ProgramVersion:
    """The draft as it is now, for the caller alone; who calls owns the definitions, so nobody publishes meanwhile."""
    row = (
        ProgramVersion.objects.select_for_update(no_key=True, of=("self",))
        .select_related("program", "trigger_segment")
        .get(pk=draft.pk)
    )
    if row.state != ProgramVersion.State.DRAFT or row.edit_number != edit_number:
        raise EditedMeanwhile
    if row.program.publishing_since is not None:
        raise BeingPublished
    return row


def discard_draft(draft: ProgramVersion, *, actor: User | None, now: datetime) -> None:
    """Throw the draft away; a program that never ran goes with it, and is refused while a rule names it."""
    with transaction.atomic():
        own_definitions()
        program = Program.objects.select_for_update().get(pk=draft.program_id)
        if program.publishing_since is not None:
            raise BeingPublished
        row = program.versions.filter(pk=draft.pk, state=ProgramVersion.State.DRAFT).first()
        if row is None:
            raise EditedMeanwhile
        audit(actor, "discarded the draft of", program, {"version": row.number, "tree": row.tree}, now)
        row.delete()
        if not program.versions.exists():
            _refuse_in_use(program)
            program.delete()


# --- Programs: running ------------------------------------------------------------------------------------------------------


def problems_of(version: ProgramVersion, names: Names, now: datetime | None = None) -> list[Problem]:
    """Everything wrong or doubtful about a version, its triggers first; dates that are past only where `now` is given."""
    steps = tree.check(version.tree)
    return [
        *way_in.problems(version.triggers, names),
        *around.problems(version.around, steps, names, now),
        *tree.problems(steps, names),
        *splits.problems(list(steps.walk()), version.around),
        *rings.problems(version, steps.walk()),
        *_without_address(steps, names),
    ]


def _without_address(steps: tree.Tree, names: Names) -> list[Problem]:
    """Told once, at the first mail."""
    mails = [step for step in steps.walk() if step.kind == "send_email"]
    if not mails or not names.lacks_postal_address:
        return []
    return [Problem("steps", proofreading.no_postal_address(), mails[0].id, False)]


def pause(program: Program, *, actor: User | None, now: datetime) -> int:
    """Nobody enters, nobody moves, no waiting mail leaves; how many mails are held. Waits for the batch in hand."""
    with transaction.atomic():
        row = _in_state(program, Program.State.LIVE, while_publishing=True)  # the brake works at any time
        row.state, row.paused_at, row.updated_at = Program.State.PAUSED, now, now
        row.save(update_fields=["state", "paused_at", "updated_at"])
        held = queries.hold_mails(row.pk)
        audit(actor, "paused", row, {"mails_held": held}, now)
    return held


def resume(program: Program, *, waits: str, actor: User | None, now: datetime) -> int:
    """Go on; how many people's waits were changed. `waits` says what becomes of those that passed meanwhile: a key of pausing.CHOICES."""
    if waits not in pausing.CHOICES:
        raise NurtureRefused(_("Say what becomes of the waits that passed."))
    with transaction.atomic():
        row = _in_state(program, Program.State.PAUSED)
        changed = pausing.go_on(row, waits, now=now)
        if changed:
            effects.close(row, effects.WAITS, now=now)
        entering.skip_paused_days(row, now)
        row.state, row.paused_at, row.stale_since, row.updated_at = Program.State.LIVE, None, now, now
        row.save(update_fields=["state", "paused_at", "stale_since", "updated_at"])
        queries.release_mails(row.pk, now=now)
        audit(actor, "resumed", row, {"waits": waits, "waits_changed": changed}, now)
    return changed


def stop(program: Program, *, actor: User | None, now: datetime) -> int:
    """End it for everybody inside, and take waiting mails back; how many left. A stopped program starts again by publishing."""
    with transaction.atomic():
        row = _in_state(program, Program.State.LIVE, Program.State.PAUSED)
        row.state, row.stopped_at, row.paused_at, row.stale_since = Program.State.STOPPED, now, None, None
        row.updated_at = now
        row.save()
        row.versions.filter(state=ProgramVersion.State.LIVE).update(state=ProgramVersion.State.PAST)
        entering.close(row)
        queries.mark_everybody_inside(row.pk)
        left = queries.leave_all(row.pk, why="program_stopped", now=now)
        audit(actor, "stopped", row, {"left": left}, now)
    return left


def archive_program(program: Program, *, actor: User | None, now: datetime) -> None:
    """Out of use, its history stays. Refused while a rule asks who is in it."""
    with transaction.atomic():
        own_definitions()
        _refuse_in_use(program)
        row = _in_state(program, Program.State.DRAFT, Program.State.STOPPED)
        row.archived_at = row.updated_at = now
        row.save(update_fields=["archived_at", "updated_at"])
        audit(actor, "archived", row, {}, now)


def unarchive_program(program: Program, *, actor: User | None, now: datetime) -> None:
    """Back in use, as it was archived: it runs when somebody starts it. Refused where programs would let people in in a ring by now."""
    with transaction.atomic():
        own_definitions()
        row = Program.objects.select_for_update(no_key=True).get(pk=program.pk)
        if row.archived_at is None:
            raise NurtureRefused(_("The program is in use already."))
        for version in row.versions.exclude(state=ProgramVersion.State.PAST):
            _refuse_loop(f"program:{row.slug}", version.triggers)
        row.archived_at, row.updated_at = None, now
        row.save(update_fields=["archived_at", "updated_at"])
        audit(actor, "unarchived", row, {}, now)


def hold_queue(program: Program, *, is_held: bool, actor: User | None, now: datetime) -> None:
    """Stop letting people in from the queue, or go on. Raises NurtureRefused when nobody waits any more."""
    with transaction.atomic():
        if not EntryQueue.objects.filter(program=program, set_aside_by=None).update(is_held=is_held):
            raise NurtureRefused(_("Nobody waits to be let in any more."))
        audit(actor, "held the queue of" if is_held else "let go on the queue of", program, {}, now)


def drop_queue(program: Program, *, actor: User | None, now: datetime) -> int:
    """Send those who wait to be let in away; how many. Whoever comes by themselves still enters."""
    with transaction.atomic():
        if Program.objects.select_for_update(no_key=True).get(pk=program.pk).publishing_since is not None:
            raise BeingPublished
        places = EntryPlace.objects.filter(program=program)
        waiting = places.count()
        places.delete()
        EntryQueue.objects.filter(program=program).delete()
        audit(actor, "dropped the queue of", program, {"people": waiting}, now)
    return waiting


def _refuse_in_use(program: Program) -> None:
    if users := graph.used_by(f"program:{program.slug}"):
        raise NurtureRefused(
            _("“%(name)s” is used by: %(users)s. Change these first.")
            % {"name": program.name, "users": ", ".join(f"{user.kind} “{user.label}”" for user in users)}
        )


def _in_state(program: Program, *states: Program.State, while_publishing: bool = False) -> Program:
    row = Program.objects.select_for_update(no_key=True).get(pk=program.pk)
    if row.publishing_since is not None and not while_publishing:
        raise BeingPublished
    if row.state not in states:
        raise NurtureRefused(_("The program is %(state)s by now.") % {"state": row.get_state_display()})
    return row


def retry_parked(program: Program, *, actor: User | None, now: datetime, enrolment_id: int | None = None) -> int:
    """Put parked people back on the road, at the step that failed; how many."""
    with transaction.atomic():
        parked = Enrolment.objects.filter(program=program, state=Enrolment.State.PARKED)
        if enrolment_id is not None:
            parked = parked.filter(pk=enrolment_id)
        count = parked.update(state=Enrolment.State.ACTIVE, next_step_at=now, problem="")
        audit(actor, "retried", program, {"people": count}, now)
    return count


def release_person(enrolment: Enrolment, *, actor: User | None, now: datetime) -> bool:
    """Take one person out by hand, with the mail that still waits; False when they had left already."""
    with transaction.atomic():
        row = Enrolment.objects.select_for_update(no_key=True).get(pk=enrolment.pk)
        if row.state not in (Enrolment.State.ACTIVE, Enrolment.State.PARKED):
            return False
        row.left_at_step = row.step
        row.state, row.step, row.next_step_at = Enrolment.State.LEFT, "", None
        row.ended_at, row.ended_why = now, "by_hand"
        row.save()
        row.sendings.filter(state__in=[Sending.State.QUEUED, Sending.State.HELD]).update(
            state=Sending.State.NOT_SENT,
            why_not=_("The contact was taken out of the program before."),
            lease_until=None,
        )
        mark([row.contact_id], Mark.Facet.DEFINITION)  # a rule, or a trigger, may ask who left
        audit(actor, "took out", row.program, {"contact": row.contact_id}, now)
    return True


# --- Templates ----------------------------------------------------------------------------------------------------------------


def save_template(
    template: Template | None,
    *,
    name: str,
    subject: str,
    preheader: str,
    format: str,
    body: str,
    actor: User | None,
    now: datetime,
    purpose: str = Purpose.ALL,
    sender_name: str = "",
    reply_to: str = "",
    language: str = "",
    has_own_text: bool = False,
    text: str = "",
    layout: Stationery | None = None,
    blocks: list[dict[str, Any]] | None = None,
    translations: list[dict[str, Any]] | None = None,
    version: int | None = None,
    slug: str = "",
    reason: str = "",
) -> Template:
    """Store a template; `version` is the one the editor started from, no `blocks` and `translations` leave those there are. Raises EditedMeanwhile."""
    values: dict[str, Any] = {
        "sender_name": sender_name,
        "reply_to": reply_to,
        "language": language,
        "has_own_text": has_own_text,
        "text": text if has_own_text else "",
        "layout": layout,
        **({} if blocks is None else {"blocks": blocks}),
        **({} if translations is None else {"translations": translations}),
        "name": name,
        "subject": subject,
        "preheader": preheader,
        "format": format,
        "body": body,
        "purpose": purpose,
        "updated_at": now,
    }
    with transaction.atomic():
        if template is None:
            made = Template(slug=slug or free_slug(name, Template), created_at=now, **values)
            made.translations = spoken.dated(made.translations, (), made)
            made.findings = proofreading.document(made)
            made.save(force_insert=True)
            history.keep(made, actor=actor, now=now, reason=reason)
            audit(actor, "created", made, {}, now)
            return made
        row = Template.objects.select_for_update(no_key=True).get(pk=template.pk)
        if version is not None and row.version != version:
            raise EditedMeanwhile
        history.keep_before(row)
        had = row.translations
        for key, value in values.items():
            setattr(row, key, value)
        if translations is not None:
            row.translations = spoken.dated(translations, had, row)
        row.version += 1
        row.findings = proofreading.document(row)
        row.save()
        history.keep(row, actor=actor, now=now, reason=reason)
        audit(actor, "changed", row, {"version": row.version}, now)
    return row


def archive_template(template: Template, *, actor: User | None, now: datetime) -> None:
    """Out of use; refused while a draft or running program sends it."""
    users: list[Program | Broadcast] = [*programs_using_template(template), *broadcasts_using_template(template)]
    if users:
        names = ", ".join(f"“{user.name}”" for user in users)
        raise NurtureRefused(_("It is sent by %(programs)s.") % {"programs": names})
    with transaction.atomic():
        Template.objects.filter(pk=template.pk).update(archived_at=now, updated_at=now)
        audit(actor, "archived", template, {}, now)


def programs_using_template(template: Template) -> list[Program]:
    """Programs not stopped or archived that have a version with people or a future in it which sends the template."""
    versions = (
        ProgramVersion.objects.filter(program__archived_at=None)
        .exclude(program__state=Program.State.STOPPED, state=ProgramVersion.State.PAST)
        .select_related("program")
    )
    found: dict[int, Program] = {}
    for version in versions:
        if any(
            step.kind == "send_email" and step.values.get("template") == template.slug
            for step in tree.check(version.tree).walk()
        ):
            found[version.program_id] = version.program
    return sorted(found.values(), key=lambda program: program.name)


def broadcasts_using_template(template: Template) -> list[Broadcast]:
    """Those that are not over. One statement."""
    under_way = Broadcast.objects.filter(state__in=(*Broadcast.OPEN, *Broadcast.UNDER_WAY), variants__template=template)
    return list(under_way.order_by("name", "pk"))


def send_test(
    template: Template, *, to: str, contact: Contact | None, actor: User, now: datetime, language: str = ""
) -> Sending:
    """Queue the template for a colleague's own eyes, filled as for the contact, in the contact's language unless one is named."""
    with transaction.atomic():
        sending = Sending.objects.create(
            key=f"test:{uuid.uuid4()}",
            contact=contact,
            template=template,
            purpose=template.purpose,
            language=language,
            address=to,
            is_operational=True,
            is_test=True,
            queued_at=now,
            due_at=now,
        )
        audit(actor, "sent a test of", template, {"to": to, "as": contact.pk if contact else None}, now)
    return sending


# --- Sendings ------------------------------------------------------------------------------------------------------------------


def resend(sending: Sending, *, actor: User | None, now: datetime) -> None:
    """An uncertain mail did not arrive: queue it again, with the same Message-ID."""
    _decide(sending, actor, now, "resent", state=Sending.State.QUEUED, due_at=now, why_not="", lease_until=None)


def mark_as_sent(sending: Sending, *, actor: User | None, now: datetime) -> None:
    """An uncertain mail did arrive."""
    with transaction.atomic():
        _decide(
            sending, actor, now, "marked as sent", state=Sending.State.SENT, sent_at=now, why_not="", lease_until=None
        )
        if sending.contact_id is not None and not sending.is_test:
            source = f"template:{sending.template.slug}"
            record_activities(
                [NewActivity(sending.contact_id, "email_sent", now, subject=sending.subject, source=source)], now=now
            )


def _decide(sending: Sending, actor: User | None, now: datetime, verb: str, **values: Any) -> None:
    with transaction.atomic():
        changed = Sending.objects.filter(pk=sending.pk, state=Sending.State.UNCERTAIN).update(**values)
        if not changed:
            raise NurtureRefused(_("This mail is not uncertain any more."))
        audit(actor, verb, sending, {"address": sending.address}, now)


def unsubscribe(
    token: uuid.UUID, *, source: str, now: datetime, proof: dict[str, Any], from_everything: bool = False
) -> bool:
    """Withdraw consent for the address that the sending went to, and for the one that its reader has now, for its purpose or for everything;
    whether there was such a sending.

    Twice is as good as once.
    """
    sending = Sending.objects.filter(token=token).select_related("contact", "template").first()
    if sending is None:
        return False
    if sending.is_test or not sending.address:
        return True  # a colleague looking at their own test takes nobody off the list; who was erased is off every one
    with transaction.atomic():
        is_news = withdraw_consent(
            sending.address,
            purpose=Purpose.ALL if from_everything else sending.purpose,
            source=source,
            now=now,
            contact=sending.contact,
            proof={**proof, "sending": sending.pk},
        )
        if is_news:
            note_unsubscribed(sending, now=now)
        if is_news and sending.contact_id is not None:
            activity = NewActivity(
                sending.contact_id,
                "email_unsubscribe",
                now,
                subject=sending.subject,
                source=f"template:{sending.template.slug}",
            )
            record_activities([activity], now=now)
    return True


def leave_everything(holder: Holder, *, source: str, now: datetime, proof: dict[str, Any]) -> bool:
    """No more mail at all, by somebody's preference page; whether that was news."""
    who = holder.contact or holder.heir
    with transaction.atomic():
        if holder.address:
            is_news = withdraw_consent(holder.address, source=source, now=now, contact=who, proof=proof)
        else:
            is_news = withdraw_by_hash(holder.digest, source=source, now=now, contact=who, proof=proof)
        if is_news and who is not None:
            record_activities([NewActivity(who.pk, "email_unsubscribe", now, source=source)], now=now)
    return is_news


# --- Tasks -------------------------------------------------------------------------------------------------------------------


def finish_task(task: Task, *, actor: User | None, now: datetime) -> bool:
    """Whether it was open."""
    return Task.objects.filter(pk=task.pk, done_at=None).update(done_at=now) == 1
