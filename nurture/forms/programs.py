"""Forms of programs and their publication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.models import ProgramVersion
from nurture.publication import moving
from segments.models import Segment


class SegmentChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """A segment in use, with its present number of members."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Segment.objects.none(), **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return _("%(name)s (%(count)s people)") % {"name": obj.name, "count": f"{obj.member_count:,}"}


def _segments_in_use(field: forms.Field) -> None:
    field.queryset = Segment.objects.filter(archived_at=None).order_by("name")  # type: ignore[attr-defined]


class ProgramForm(forms.Form):
    """A new program."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    trigger_segment = SegmentChoice(
        label=gettext_lazy("Who enters"),
        required=False,
        empty_label=gettext_lazy("decide later"),
        help_text=gettext_lazy(
            "People enter when they become members of this segment. Nothing starts before you say so."
        ),
    )
    pattern = forms.ChoiceField(label=gettext_lazy("Begin with"), widget=forms.RadioSelect, initial="simple")
    notes = forms.CharField(
        label=gettext_lazy("Notes"), required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=2000
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from nurture.patterns import PATTERNS

        super().__init__(*args, **kwargs)
        _segments_in_use(self.fields["trigger_segment"])
        self.fields["pattern"].choices = [(key, pattern.label) for key, pattern in PATTERNS.items()]  # type: ignore[attr-defined]


class ProgramSettingsForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"),
        coerce=int,
        choices=[(n, n) for n in range(1, 10)],
        help_text=gettext_lazy(
            "1 comes first. Where the budget of mails to a person is short, the program before takes the mail."
        ),
    )
    notes = forms.CharField(
        label=gettext_lazy("Notes"), required=False, widget=forms.Textarea(attrs={"rows": 3}), max_length=2000
    )


class PublishForm(forms.Form):
    """The start sheet: what happens to people who are members already."""

    intake = forms.ChoiceField(choices=ProgramVersion.Intake.choices, widget=forms.RadioSelect, initial="new")
    since = forms.DateTimeField(
        label=gettext_lazy("Since"),
        required=False,
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local", "class": "form-control form-control-sm publish-since"},
            format="%Y-%m-%dT%H:%M",
        ),
    )
    per_day = forms.IntegerField(
        label=gettext_lazy("At most so many a day"),
        min_value=1,
        max_value=10_000_000,
        required=False,
        widget=forms.NumberInput(attrs={"class": "form-control form-control-sm w-auto", "placeholder": "500"}),
    )
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )
    edit_number = forms.IntegerField(widget=forms.HiddenInput)

    def decision(self) -> dict[str, Any]:
        """What publishing.ask is told, but for the people inside."""
        return {key: self.cleaned_data[key] for key in ("edit_number", "intake", "since", "per_day", "reason")}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("intake") == ProgramVersion.Intake.SINCE and not cleaned.get("since"):
            self.add_error("since", _("Say since when."))
        return cleaned


class MovesForm(forms.Form):
    """What happens to the people inside at each step where somebody stands; fields are named by the stops' keys."""

    prefix = "move"
    WORDS: ClassVar = {
        moving.FINISH: gettext_lazy("finish on the version they are in"),
        moving.STAY: gettext_lazy("go over, at this step, due as before"),
        moving.RETIME: gettext_lazy("go over, the wait counted anew from when they came"),
        moving.RELEASE: gettext_lazy("leave the program"),
    }

    def __init__(
        self, *args: Any, stops: Sequence[moving.Stop], onto: Sequence[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for stop in stops:
            label = _("What happens to the people at “%(step)s”") % {"step": stop.words}
            steps = [(f"{moving.TO}{step_id}", words) for step_id, words in onto if step_id != stop.step_id]
            offers: list[Any] = [(offer, self.WORDS[offer]) for offer in stop.offers]
            choices = [*offers, (_("go over to"), steps)] if steps else offers
            self.fields[stop.key] = forms.ChoiceField(
                label=label, choices=choices, required=False, initial=moving.FINISH,
                widget=forms.Select(attrs={"class": "form-select form-select-sm", "aria-label": label}),
            )  # fmt: skip

    def moves(self) -> dict[str, str]:
        return {key: choice for key, choice in self.cleaned_data.items() if choice}


class TakeBackForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why is it taken back?"),
        max_length=500,
        widget=forms.TextInput(attrs={"autofocus": True}),
        help_text=gettext_lazy("It stands in the history of versions and in the audit."),
    )
