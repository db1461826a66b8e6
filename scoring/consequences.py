"""What the saved rule of a segment does to the score models that read it, and their rules under its new slug."""

from __future__ import annotations

from django.utils.translation import gettext as _

from scoring.models import GraduationRule, RoutingRule, Rule, ScoreVersion
from segments.consequences import looked_at_again
from segments.graph import Definition
from segments.models import Segment
from segments.queries_pages import Staged
from segments.renaming import Rename, rewrite_rows
from segments.rules import reads_of


def tell(definition: Definition, segment: Segment, staged: Staged) -> list[str]:
    """The rules of the live version that read it, with their points, and how many people are scored again. One statement."""
    rules = Rule.objects.filter(
        version__model__slug=definition.key.partition(":")[2], version__state=ScoreVersion.State.LIVE
    )
    touched = [rule for rule in rules if segment.key in reads_of(rule.conditions)]
    if not touched:
        return [_("only its draft or an earlier version names it; nothing changes")]
    words = [
        _("rule “%(name)s” (%(points)s points)") % {"name": rule.name, "points": f"{rule.points.normalize():+f}"}
        for rule in touched
    ]
    return [*looked_at_again(staged), *words]


def rewrite(rename: Rename) -> int:
    """Rules of every version, past ones too: they are read again for a score as of an earlier day."""
    return (
        rewrite_rows(Rule.objects.all(), rename)
        + rewrite_rows(RoutingRule.objects.exclude(conditions=None), rename)
        + rewrite_rows(GraduationRule.objects.exclude(conditions=None), rename)
        + _rewrite_hand_offs(rename)
    )


def _rewrite_hand_offs(rename: Rename) -> int:
    """Hand-off conditions of every version. One statement, one more for each that names the segment."""
    changed = 0
    for version in ScoreVersion.objects.exclude(hand_off_conditions=None):
        document = rename.document(version.hand_off_conditions)
        if document is not version.hand_off_conditions:
            ScoreVersion.objects.filter(pk=version.pk).update(hand_off_conditions=document)
            changed += 1
    return changed
