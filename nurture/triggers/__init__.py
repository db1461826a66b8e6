"""The table of trigger kinds. A new kind is one file here and one line below."""

from __future__ import annotations

from nurture.triggers import activity, day, import_finished, program, score, segment, stage, tag
from nurture.triggers.base import TriggerKind

# In the order in which the entry's panel offers them.
TRIGGERS: dict[str, TriggerKind] = {
    kind.key: kind
    for kind in (
        segment.SEGMENT,
        activity.ACTIVITY,
        import_finished.IMPORT,
        stage.STAGE,
        score.SCORE,
        score.GRADE,
        day.DAY,
        tag.TAG,
        program.PROGRAM,
    )
}

__all__ = ["TRIGGERS", "TriggerKind"]
