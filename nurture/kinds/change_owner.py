"""Give people to another owner, or to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import set_owner
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text


def _words(values: Mapping[str, Any], names: Names) -> str:
    if name := values.get("owner"):
        return _("Give to %(owner)s") % {"owner": name}
    return _("Take the owner off") if values.get("nobody") else _("Change the owner")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    name = values.get("owner")
    if not name and not values.get("nobody"):
        yield _("The step does not say to whom."), True
    elif name and name not in names.owners:
        yield _("There is no owner “%(name)s” any more.") % {"name": name}, True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "owner", 200)
    if not isinstance(values.get("nobody", False), bool):
        yield "nobody", _("expected true or false")
    elif values.get("nobody") and values.get("owner"):
        yield "nobody", _("a step names either an owner or nobody")


def _run(group: Group) -> dict[str, list[Walker]]:
    name = group.step.values.get("owner")
    if name and name not in group.names.owners:
        raise LookupError(_("There is no owner “%(name)s” any more.") % {"name": name})
    set_owner(group.contact_ids, owner=group.names.owners[name] if name else None, now=group.now)
    return group.done()


class ChangeOwnerForm(StepForm):
    owner = forms.ChoiceField(label=gettext_lazy("New owner"), required=False)
    nobody = forms.BooleanField(label=gettext_lazy("Nobody: take the owner off"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].choices = [("", _("Choose an owner")), *((name, name) for name in self.names.owners)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("owner") and cleaned.get("nobody"):
            self.add_error("nobody", _("Choose either an owner or nobody."))
        return cleaned

    def values(self) -> dict[str, Any]:
        return {key: value for key, value in super().values().items() if value}


CHANGE_OWNER = Kind(
    key="change_owner",
    label=gettext_lazy("Change owner"),
    help=gettext_lazy("Who looks after the contact from now on."),
    icon="user-share",
    colour="yellow",
    form=ChangeOwnerForm,
    words=_words,
    run=_run,
    keys=frozenset({"owner", "nobody"}),
    malformed=_malformed,
    problems=_problems,
)
