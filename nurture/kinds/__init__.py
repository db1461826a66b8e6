"""The table of step kinds. A new kind is one file here and one line below."""

from __future__ import annotations

from nurture.kinds import (
    branch,
    create_task,
    end,
    give_points,
    hand_to_sales,
    segments,
    send_email,
    set_field,
    stage,
    tags,
    wait,
)
from nurture.kinds.base import START, Group, Kind, Names, Problem, Step, StepForm, Walker

# In the order in which the + of the canvas offers them.
KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        send_email.SEND_EMAIL,
        wait.WAIT,
        branch.BRANCH,
        hand_to_sales.HAND_TO_SALES,
        give_points.GIVE_POINTS,
        stage.CHANGE_STAGE,
        tags.ADD_TAG,
        tags.REMOVE_TAG,
        set_field.SET_FIELD,
        segments.ADD_TO_SEGMENT,
        segments.REMOVE_FROM_SEGMENT,
        create_task.CREATE_TASK,
        end.END,
    )
}

__all__ = ["KINDS", "START", "Group", "Kind", "Names", "Problem", "Step", "StepForm", "Walker"]
