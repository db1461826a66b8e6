"""Put a tag on people, or take it off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import add_tag, remove_tag
from leads.text import clean
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text


def _words_of_adding(values: Mapping[str, Any], names: Names) -> str:
    return _("Add the tag “%(tag)s”") % {"tag": values["tag"]} if values.get("tag") else _("Add a tag")


def _words_of_removing(values: Mapping[str, Any], names: Names) -> str:
    return _("Remove the tag “%(tag)s”") % {"tag": values["tag"]} if values.get("tag") else _("Remove a tag")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not clean(values.get("tag", "")):
        yield _("The step names no tag."), True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "tag", 100)


def _run_adding(group: Group) -> dict[str, list[Walker]]:
    add_tag(group.contact_ids, tag=group.step.values["tag"], now=group.now)
    return group.done()


def _run_removing(group: Group) -> dict[str, list[Walker]]:
    remove_tag(group.contact_ids, tag=group.step.values["tag"], now=group.now)
    return group.done()


class TagForm(StepForm):
    tag = forms.CharField(label=gettext_lazy("Tag"), max_length=100, required=False)

    def clean_tag(self) -> str:
        return clean(self.cleaned_data["tag"])


ADD_TAG = Kind(
    key="add_tag",
    label=gettext_lazy("Add tag"),
    help=gettext_lazy("A word on the contact, for lists and conditions."),
    icon="tag",
    colour="cyan",
    form=TagForm,
    words=_words_of_adding,
    run=_run_adding,
    keys=frozenset({"tag"}),
    malformed=_malformed,
    problems=_problems,
)
REMOVE_TAG = Kind(
    key="remove_tag",
    label=gettext_lazy("Remove tag"),
    help=gettext_lazy("Take a word off the contact."),
    icon="tag-off",
    colour="cyan",
    form=TagForm,
    words=_words_of_removing,
    run=_run_removing,
    keys=frozenset({"tag"}),
    malformed=_malformed,
    problems=_problems,
)
