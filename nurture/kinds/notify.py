"""Tell a colleague about a person: in the bell and, as each of them wishes, by mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Contact
from leads.workspace import workspace
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from nurture.templating import placeholders, rendering
from scoring import notices
from scoring.models import Notice

OWNER, USER, TEAM = "owner", "user", "team"
LONGEST = 1_000


def _words(values: Mapping[str, Any], names: Names) -> str:
    text = " ".join(str(values.get("text", "")).split())
    whom = {
        OWNER: _("the owner"),
        USER: names.users[values["user"]].get_full_name() or values["user"]
        if values.get("user") in names.users
        else "…",
        TEAM: _("the team “%(team)s”") % {"team": values.get("team", "…")},
    }.get(values.get("whom", OWNER), "…")
    words = _("Tell %(whom)s") % {"whom": whom}
    return f"{words}: {text}" if text else words


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if values.get("whom", OWNER) not in (OWNER, USER, TEAM):
        yield "whom", _("choose one of: %(kinds)s") % {"kinds": ", ".join((OWNER, USER, TEAM))}
    yield from is_text(values, "user", 150)
    yield from is_text(values, "team", 200)
    yield from is_text(values, "text", LONGEST)


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    whom = values.get("whom", OWNER)
    if whom == USER and values.get("user") not in names.users:
        yield _("There is no active user “%(name)s”.") % {"name": values.get("user", "")}, True
    elif whom == TEAM and not names.teams.get(values.get("team", "")):
        yield _("Nobody who can sign in belongs to the team “%(name)s”.") % {"name": values.get("team", "")}, True
    text = values.get("text", "")
    if not text.strip():
        yield _("The notice says nothing."), True
        return
    try:
        unknown = rendering.unknown_words(text)
    except rendering.BadTemplate as error:
        yield str(error), True
    else:
        if unknown:
            yield _("No contact can fill: %(names)s") % {"names": ", ".join(unknown)}, False


def _run(group: Group) -> dict[str, list[Walker]]:
    """One notice to each user, person and visit. Six statements, whatever the number; a text that fails for one parks that one."""
    contacts = {
        contact.pk: contact
        for contact in Contact.objects.filter(pk__in=group.contact_ids).select_related("company", "owner__user")
    }
    home, news, nobody = workspace(), [], set()
    for walker in group.walkers:
        contact = contacts[walker.contact_id]
        users = _users(group.step.values, contact, group.names)
        if not users:
            nobody.add(walker.contact_id)
            continue
        context = placeholders.context_for(contact, workspace=home, unsubscribe_url="")
        words = rendering.fill_words(group.step.values["text"], context)[:LONGEST]
        key = f"step:{walker.enrolment_id}:{group.step.id}:{walker.visit}"
        news += [notices.News(user, key, Notice.Kind.PROGRAM, contact_id=contact.pk, words=words) for user in users]
    notices.tell(news, now=group.now)
    return group.split(nobody, inside="nobody", outside="done")


def _users(values: Mapping[str, Any], contact: Contact, names: Names) -> Sequence[int]:
    """Ids of those who are told about the contact; nobody where the owner cannot sign in."""
    whom = values.get("whom", OWNER)
    if whom == USER:
        return [names.users[values["user"]].pk] if values.get("user") in names.users else []
    if whom == TEAM:
        return names.teams.get(values.get("team", ""), [])
    user: User | None = contact.owner.user if contact.owner else None
    return [user.pk] if user is not None and user.is_active else []


class NotifyForm(StepForm):
    whom = forms.ChoiceField(
        label=gettext_lazy("Tell"),
        choices=[
            (OWNER, gettext_lazy("the contact's owner")),
            (USER, gettext_lazy("one colleague")),
            (TEAM, gettext_lazy("everybody of a team")),
        ],
        widget=forms.RadioSelect,
        initial=OWNER,
    )
    user = forms.ChoiceField(label=gettext_lazy("Colleague"), required=False)
    team = forms.ChoiceField(label=gettext_lazy("Team"), required=False)
    text = forms.CharField(
        label=gettext_lazy("What"),
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("Placeholders work: {{ contact.full_name }} of {{ company.name }}"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        users = [(name, user.get_full_name() or name) for name, user in self.names.users.items()]
        self.fields["user"].choices = [("", _("Choose a colleague")), *users]  # type: ignore[attr-defined]
        teams = [(team, team) for team in self.names.teams]
        self.fields["team"].choices = [("", _("Choose a team")), *teams]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for key, words in ((USER, _("Choose a colleague.")), (TEAM, _("Choose a team."))):
            if cleaned.get("whom") == key and not cleaned.get(key) and key not in self.errors:
                self.add_error(key, words)
        return cleaned

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        try:
            rendering.unknown_words(text)
        except rendering.BadTemplate as error:
            raise forms.ValidationError(str(error), code="template") from error
        return text

    def values(self) -> dict[str, Any]:
        found = super().values()
        return {key: found[key] for key in ("whom", found["whom"], "text") if key in found}


NOTIFY = Kind(
    key="notify",
    label=gettext_lazy("Notify a colleague"),
    help=gettext_lazy("In the bell, and by mail as they wish; once for each person and visit."),
    icon="bell",
    colour="orange",
    form=NotifyForm,
    words=_words,
    run=_run,
    keys=frozenset({"whom", "user", "team", "text"}),
    malformed=_malformed,
    problems=_problems,
    outcomes={"nobody": gettext_lazy("nobody to tell: no owner, or one who cannot sign in")},
)
