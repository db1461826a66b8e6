"""What a published version first did to anybody: from then on its publication cannot be taken back."""

from __future__ import annotations

from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import tree
from nurture.kinds import KINDS, Names
from nurture.models import EntryQueue, Program, ProgramVersion, Publication, Trigger
from nurture.publication import queries_publishing

REPUBLISHED, WAITS = "republished", "waits"
PAGE = 10_000  # rows deleted in one transaction

WORDS = {
    "step": gettext_lazy("somebody did the step “%(step)s”"),
    "entered": gettext_lazy("somebody entered"),
    "goal": gettext_lazy("somebody reached the goal"),
    "left": gettext_lazy("somebody left the program"),
    "failed": gettext_lazy("a step failed for somebody"),
    "elsewhere": gettext_lazy("somebody who left entered another program"),
    WAITS: gettext_lazy("waits were changed when the program went on after a pause"),
    REPUBLISHED: gettext_lazy("another version was published"),
    "stopped": gettext_lazy("the program was stopped"),
}


def words(publication: Publication, names: Names) -> str:
    """What happened and when, for a person to read."""
    what = str(WORDS[publication.effect])
    if publication.effect == "step":
        what %= {"step": _step_words(publication, names)}
    if publication.effect_at is None:
        return _("It cannot be taken back any more: %(what)s.") % {"what": what}
    at = formats.date_format(timezone.localtime(publication.effect_at), "SHORT_DATETIME_FORMAT")
    return _("It cannot be taken back any more: at %(at)s %(what)s.") % {"at": at, "what": what}


def _step_words(publication: Publication, names: Names) -> str:
    if publication.version is not None:
        for step in tree.check(publication.version.tree).walk():
            if step.id == publication.effect_step:
                return str(KINDS[step.kind].words(step.values, names))
    return _("Entry")


def close(program: Program, effect: str, *, now: datetime) -> None:
    """Publications of the program that could still be taken back stay, since that happened. One statement."""
    Publication.objects.filter(program=program, state=Publication.State.DONE, effect="").update(
        effect=effect, effect_at=now
    )


def note(now: datetime) -> int:
    """Write down, of publications that could still be taken back, the first effect; how many had one. One statement when none is open."""
    open_rows = list(
        Publication.objects.filter(state=Publication.State.DONE, is_cleared=False, effect="").values_list(
            "pk", "version__state"
        )
    )
    if not open_rows:
        return 0
    live = [pk for pk, state in open_rows if state == ProgramVersion.State.LIVE]
    noted = 0
    for pk in queries_publishing.affecting(live):
        found = queries_publishing.first_effect(pk)
        if found is not None:
            name, at, step = found
            rows = Publication.objects.filter(pk=pk, state=Publication.State.DONE, effect="")
            noted += rows.update(effect=name, effect_at=at or now, effect_step=step)
    over = [pk for pk, state in open_rows if state != ProgramVersion.State.LIVE]
    rows = Publication.objects.filter(pk__in=over, state=Publication.State.DONE, effect="")
    return noted + rows.update(effect="stopped", effect_at=now)


def clear_page(publication: Publication) -> bool:
    """Throw away the next of what was kept for taking a publication back; False when nothing is left. One short transaction of the caller's."""
    if queries_publishing.forget_moves(publication.pk, limit=PAGE):
        return True
    aside = Trigger.objects.filter(version=publication.past_id).exclude(version__state=ProgramVersion.State.LIVE)
    for trigger in aside.order_by("pk"):
        if not queries_publishing.forget_matches(trigger.pk, limit=PAGE):
            trigger.delete()
        return True
    if (queue := EntryQueue.objects.filter(set_aside_by=publication).first()) is not None:
        if not queries_publishing.forget_program_places(queue.program_id, limit=PAGE):
            queue.delete()
        return True
    ProgramVersion.objects.filter(publications=publication).exclude(state=ProgramVersion.State.DRAFT).update(
        past_edits=[]
    )
    Publication.objects.filter(pk=publication.pk).update(is_cleared=True)
    return False
