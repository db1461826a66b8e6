"""Ask a colleague to do something about a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text


def _words(values: Mapping[str, Any], names: Names) -> str:
    if title := values.get("title"):
        return _("Task for the owner: %(title)s") % {"title": title}
    return _("Create a task")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not values.get("title", "").strip():
        yield _("The task says nothing."), True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "title")
    days = values.get("days")
    if days is not None and (type(days) is not int or not 1 <= days <= 365):
        yield "days", _("expected a whole number from 1 to 365")


def _run(group: Group) -> dict[str, list[Walker]]:
    days = group.step.values.get("days")
    due_at = group.now + timedelta(days=days) if days else None
    queries.create_tasks(group.walkers, title=group.step.values["title"], due_at=due_at, now=group.now)
    return group.done()


class CreateTaskForm(StepForm):
    title = forms.CharField(label=gettext_lazy("What to do"), max_length=300, required=False)
    days = forms.IntegerField(
        label=gettext_lazy("Due in days"),
        min_value=1,
        max_value=365,
        required=False,
        help_text=gettext_lazy("Empty: no date."),
    )


CREATE_TASK = Kind(
    key="create_task",
    label=gettext_lazy("Create task"),
    help=gettext_lazy("For the contact's owner, on their list."),
    icon="checklist",
    colour="orange",
    form=CreateTaskForm,
    words=_words,
    run=_run,
    keys=frozenset({"title", "days"}),
    malformed=_malformed,
    problems=_problems,
)
