"""Tell another system about a person: a signed call, tried again until it is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import outside, webhooks
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text

LONGEST = 500


def _words(values: Mapping[str, Any], names: Names) -> str:
    url = str(values.get("url", ""))
    return _("Call the webhook %(url)s") % {"url": url.partition("?")[0]} if url else _("Call a webhook")


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "url", LONGEST)


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    url = values.get("url", "").strip()
    if not url:
        yield _("The webhook has no address."), True
    elif words := outside.refusal(url):
        yield words, True
    elif url.lower().startswith("http://"):
        yield _("The webhook's address is not encrypted: use https:// where the receiver can."), False


def _run(group: Group) -> dict[str, list[Walker]]:
    webhooks.queue(group, url=group.step.values["url"].strip())
    return group.done()


class WebhookForm(StepForm):
    url = forms.CharField(
        label=gettext_lazy("Address"),
        required=False,
        max_length=LONGEST,
        widget=forms.URLInput(attrs={"placeholder": "https://…"}),
        help_text=gettext_lazy(
            "Gets the person as JSON, signed. What it holds stands in the documentation of programs."
        ),
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if url and (words := outside.refusal(url)):
            raise forms.ValidationError(words, code="address")
        return url


WEBHOOK = Kind(
    key="webhook",
    label=gettext_lazy("Call a webhook"),
    help=gettext_lazy("Tell another system; signed, and tried again until it is taken."),
    icon="webhook",
    colour="cyan",
    form=WebhookForm,
    words=_words,
    run=_run,
    keys=frozenset({"url"}),
    malformed=_malformed,
    problems=_problems,
)
