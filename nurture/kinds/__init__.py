"""The table of step kinds. A new kind is one file here and one line below."""

from __future__ import annotations

from nurture.kinds import (
    branch,
    change_owner,
    choose,
    create_task,
    end,
    give_points,
    hand_to_sales,
    notify,
    other_programs,
    segments,
    send_email,
    set_field,
    split,
    stage,
    tags,
    wait,
    wait_for_date,
    wait_until,
    webhook,
)
from nurture.kinds.base import START, Group, Kind, Names, Problem, Step, StepForm, Walker

# In the order in which the + of the canvas offers them.
KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        send_email.SEND_EMAIL,
        wait.WAIT,
        wait_until.WAIT_UNTIL,
        wait_for_date.WAIT_FOR_DATE,
        branch.BRANCH,
        choose.CHOOSE,
        split.SPLIT,
        hand_to_sales.HAND_TO_SALES,
        give_points.GIVE_POINTS,
        stage.CHANGE_STAGE,
        tags.ADD_TAG,
        tags.REMOVE_TAG,
        set_field.SET_FIELD,
        change_owner.CHANGE_OWNER,
        segments.ADD_TO_SEGMENT,
        segments.REMOVE_FROM_SEGMENT,
        create_task.CREATE_TASK,
        notify.NOTIFY,
        webhook.WEBHOOK,
        other_programs.START_PROGRAM,
        other_programs.LEAVE_PROGRAM,
        end.END,
    )
}

__all__ = ["KINDS", "START", "Group", "Kind", "Names", "Problem", "Step", "StepForm", "Walker"]
