"""What the saved rule of a segment does to the programs that it starts or that ask for it, and their steps under its new slug."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from nurture import splits, tree
from nurture.models import Enrolment, Program, ProgramVersion, Trigger
from segments.graph import Definition
from segments.models import Segment
from segments.queries_pages import Staged
from segments.renaming import Rename


def tell_program(definition: Definition, segment: Segment, staged: Staged) -> list[str]:
    """How many would be taken in, and how many of those who leave are in the program now. Four statements."""
    program = Program.objects.get(slug=definition.key.partition(":")[2])
    if (
        not program.versions.filter(triggers__contains=[{"segment": segment.slug}])
        .exclude(state=ProgramVersion.State.PAST)
        .exists()
    ):
        return tell_steps(definition, segment, staged)  # its goal or exits ask for the segment
    if program.state != Program.State.LIVE:
        return [_("it is %(state)s: nobody is taken in now") % {"state": program.get_state_display()}]
    enrolments = Enrolment.objects.filter(program=program)
    entering = staged.joining - staged.count_among(enrolments.values("contact_id"), joins=True)
    inside = staged.count_among(enrolments.filter(state=Enrolment.State.ACTIVE).values("contact_id"), joins=False)
    return [
        ngettext("%(number)s person would be taken in", "%(number)s people would be taken in", entering)
        % {"number": f"{entering:,}"},
        ngettext(
            "%(number)s of those who leave the segment is in it now",
            "%(number)s of those who leave the segment are in it now",
            inside,
        )
        % {"number": f"{inside:,}"},
    ]


def tell_steps(definition: Definition, segment: Segment, staged: Staged) -> list[str]:
    """Steps ask when somebody comes by: whoever is in the program and changes sides may go another way. Two statements."""
    walking = Enrolment.objects.filter(
        program__slug=definition.key.partition(":")[2], state=Enrolment.State.ACTIVE
    ).values("contact_id")
    number = staged.count_among(walking, joins=True) + staged.count_among(walking, joins=False)
    if not number:
        return []
    return [
        ngettext(
            "%(number)s person in it now may go another way", "%(number)s people in it now may go another way", number
        )
        % {"number": f"{number:,}"}
    ]


def rewrite(rename: Rename) -> int:
    """Trees of every version, past ones too: people may still walk in them. Three statements."""
    changed = []
    named = Q(tree__icontains=rename.old) | Q(around__icontains=rename.old) | Q(past_edits__icontains=rename.old)
    for version in ProgramVersion.objects.filter(named | Q(triggers__icontains=rename.old)).select_for_update(
        no_key=True
    ):
        steps = [_step(step, rename) for step in version.tree.get("steps", [])]
        surroundings = _around(version.around, rename)
        past = [_past(edit, rename) for edit in version.past_edits]
        triggers = [_trigger(one, rename) for one in version.triggers]
        stored = (version.tree.get("steps", []), version.around, version.past_edits, version.triggers)
        if (steps, surroundings, past, triggers) != stored:
            before = list(tree.check(version.tree).walk())
            version.tree, version.around = {**version.tree, "steps": steps}, surroundings
            version.triggers = triggers
            splits.renamed(version.program_id, before, list(tree.check(version.tree).walk()))
            version.past_edits = past
            version.edit_number += 1  # workers keep the trees that they walk by this number
            changed.append(version)
    if changed:
        ProgramVersion.objects.bulk_update(changed, ["tree", "around", "triggers", "past_edits", "edit_number"])
    for row in Trigger.objects.filter(values__icontains=rename.old).select_for_update(no_key=True):
        values = _trigger(row.values, rename)
        if values != row.values:
            Trigger.objects.filter(pk=row.pk).update(values=values)
    return len(changed)


def _past(edit: dict[str, Any], rename: Rename) -> dict[str, Any]:
    """How a draft was before an edit, so that taking the edit back names what exists."""
    steps = [_step(step, rename) for step in edit["tree"].get("steps", [])]
    return {
        "tree": {**edit["tree"], "steps": steps},
        "around": _around(edit["around"], rename),
        "triggers": [_trigger(one, rename) for one in edit["triggers"]],
    }


def _around(document: dict[str, Any], rename: Rename) -> dict[str, Any]:
    fresh = dict(document)
    for key in ("goal", "exit"):
        if rule := (document.get(key) or {}).get("conditions"):
            fresh[key] = {**document[key], "conditions": rename.document(rule)}
    if slugs := document.get("keep_out"):
        fresh["keep_out"] = [rename.new if slug == rename.old else slug for slug in slugs]
    return fresh


def _trigger(values: dict[str, Any], rename: Rename) -> dict[str, Any]:
    fresh = dict(values)
    if fresh.get("segment") == rename.old:
        fresh["segment"] = rename.new
    if "activity" in fresh:
        fresh["activity"] = rename.document(fresh["activity"])
    return fresh


def _step(step: Any, rename: Rename) -> Any:
    """A step and the ways below it; whatever holds a list of steps is a way."""
    if not isinstance(step, dict):
        return step
    fresh = {
        key: [_step(one, rename) for one in value] if isinstance(value, list) else value for key, value in step.items()
    }
    if fresh.get("segment") == rename.old:
        fresh["segment"] = rename.new
    if "conditions" in fresh:
        fresh["conditions"] = rename.document(step["conditions"])
    if isinstance(when := step.get("when"), dict):
        fresh["when"] = {way: rename.document(rule) for way, rule in when.items()}
    if (winner := step.get("winner")) and "conditions" in winner:
        fresh["winner"] = {**winner, "conditions": rename.document(winner["conditions"])}
    return fresh
