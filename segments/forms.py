"""Forms about segments: what a segment says, and people put in or taken out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Column, Div, Field, Layout, Row
from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from segments.builder import ConditionsField
from segments.models import Segment

if TYPE_CHECKING:
    _UserChoice = forms.ModelChoiceField[User]
else:
    _UserChoice = forms.ModelChoiceField


class PersonField(_UserChoice):
    """A user by the name that people know."""

    def label_from_instance(self, obj: User) -> str:
        return obj.get_full_name() or obj.get_username()


class SegmentForm(forms.Form):
    """Name, rule and words of a segment. `version` is what the editor started from; the mode is chosen once."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    folder = forms.CharField(
        label=gettext_lazy("Folder"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"list": "segment-folders", "autocomplete": "off"}),
    )
    mode = forms.ChoiceField(
        label=gettext_lazy("Who decides who is in?"),
        choices=[
            (Segment.Mode.DYNAMIC, gettext_lazy("The rule: people join and leave as they change")),
            (Segment.Mode.FIXED, gettext_lazy("Nobody but us: a fixed list, filled by hand or by programs")),
        ],
        initial=Segment.Mode.DYNAMIC,
        widget=forms.RadioSelect,
    )
    conditions = ConditionsField(label=gettext_lazy("Rule"), required=False)
    everybody = forms.BooleanField(
        label=gettext_lazy("Everybody"),
        required=False,
        help_text=gettext_lazy(
            "Without any condition the segment holds every contact. Tick only if that is what you want."
        ),
    )
    notes = forms.CharField(
        label=gettext_lazy("Notes"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("What it is for, who asked for it."),
    )
    owner = PersonField(label=gettext_lazy("Owner"), queryset=User.objects.none(), required=False)
    reason = forms.CharField(
        label=gettext_lazy("Why this change?"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Stands in the version history."),
    )

    def __init__(self, *args: Any, segment: Segment | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.segment = segment
        owner = self.fields["owner"]
        assert isinstance(owner, PersonField)
        owner.queryset = User.objects.filter(is_active=True).order_by("first_name", "username")
        if segment is not None:
            del self.fields["mode"]
        else:
            del self.fields["reason"]
        if segment is not None and segment.mode == Segment.Mode.FIXED:
            del self.fields["conditions"], self.fields["everybody"]
        self.helper = FormHelper()
        self.helper.form_tag = False
        rule = [Div("conditions", "everybody", HTML('<hr class="my-3">'), css_class="segment-rule")]
        words = ["notes", "owner", *(["reason"] if "reason" in self.fields else [])]
        self.helper.layout = Layout(
            Field("version"),
            Row(Column("name", css_class="col-md-8"), Column("folder", css_class="col-md-4")),
            *(["mode"] if "mode" in self.fields else []),
            *(rule if "conditions" in self.fields else []),
            *words,
        )

    @property
    def chosen_mode(self) -> str:
        if self.segment is not None:
            return self.segment.mode
        return str(self.cleaned_data.get("mode") or Segment.Mode.DYNAMIC)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.chosen_mode == Segment.Mode.FIXED or "conditions" in self.errors:
            return cleaned
        is_empty = cleaned.get("conditions") in (None, {"all": []}, {"any": []})
        if is_empty and not cleaned.get("everybody"):
            self.add_error(
                "conditions", _("Without a condition everybody would be in. Add one, or tick “Everybody” below.")
            )
        if not is_empty and cleaned.get("everybody"):
            self.add_error("everybody", _("There are conditions above: untick this, or remove them."))
        return cleaned


class PeopleForm(forms.Form):
    """Contacts put in or taken out by hand, named by address or external id, one per line or with commas between."""

    ADD, REMOVE, LEAVE = "add", "remove", "leave_to_rule"
    MOST = 5_000

    verb = forms.ChoiceField(choices=[(ADD, ""), (REMOVE, ""), (LEAVE, "")])
    names = forms.CharField(widget=forms.Textarea, max_length=500_000)
    reason = forms.CharField(max_length=500, required=False)

    def clean_names(self) -> list[str]:
        text: str = self.cleaned_data["names"]
        names = [name.strip() for line in text.splitlines() for name in line.replace(";", ",").split(",")]
        listed = list(dict.fromkeys(name for name in names if name))
        if len(listed) > self.MOST:
            raise forms.ValidationError(
                _("At most %(most)s people at once; import a file for more.") % {"most": f"{self.MOST:,}"}
            )
        return listed
