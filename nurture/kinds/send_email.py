"""Send a template. The step leaves a sending in the outbox; the mail itself goes from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from nurture.mailing import queries_sending


def _words(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("template"):
        return _("Send “%(template)s”") % {"template": names.template(slug)}
    return _("Send an e-mail")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    slug = values.get("template")
    if not slug:
        yield _("The e-mail has no template."), True
    elif slug not in names.templates:
        yield _("The template “%(slug)s” does not exist any more.") % {"slug": slug}, True
    else:
        for finding in names.findings(slug):
            about = {"name": names.template(slug), "finding": finding.words}
            yield _("“%(name)s”: %(finding)s") % about, finding.blocks


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "template", 100)


def _run(group: Group) -> dict[str, list[Walker]]:
    """One statement: suppression and consent are looked at while the sendings are written. Limits are held where mail is claimed."""
    template = group.names.templates.get(group.step.values["template"])
    if template is None:
        raise LookupError(
            _("The template “%(slug)s” does not exist any more.") % {"slug": group.step.values["template"]}
        )
    queued = queries_sending.queue_mails(group.walkers, template_id=template.pk, step=group.step.id, now=group.now)
    return group.split(queued, inside="done", outside="not_mailed")


class SendEmailForm(StepForm):
    template = forms.ChoiceField(label=gettext_lazy("Template"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("Choose a template"))]
        choices += [(slug, row.name) for slug, row in self.names.templates.items()]
        self.fields["template"].choices = choices  # type: ignore[attr-defined]


SEND_EMAIL = Kind(
    key="send_email",
    label=gettext_lazy("Send e-mail"),
    help=gettext_lazy("A template, to everybody who may be mailed at that moment."),
    icon="mail",
    colour="blue",
    form=SendEmailForm,
    words=_words,
    run=_run,
    keys=frozenset({"template"}),
    malformed=_malformed,
    problems=_problems,
    outcomes={
        "not_mailed": gettext_lazy("not mailed"),
        "over_budget": gettext_lazy("not mailed: the budget of mails was used up"),  # walks before decision 0114
    },
)
