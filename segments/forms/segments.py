"""Forms about segments: what a segment says, and people put in or taken out by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Column, Div, Field, Layout, Row
from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from segments.actions import LONGEST_LABEL
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


def labels_of(text: str) -> list[str]:
    """The labels of a box: parts between commas, each at most as long as a label may be."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if len(name) > LONGEST_LABEL:
            raise forms.ValidationError(
                _("A label has at most %(most)s characters: “%(name)s”.") % {"most": LONGEST_LABEL, "name": name}
            )
    return names


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
    labels = forms.CharField(
        label=gettext_lazy("Labels"),
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"list": "segment-labels", "autocomplete": "off"}),
        help_text=gettext_lazy("Several with commas between."),
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
            Row(
                Column("name", css_class="col-lg-6"),
                Column("folder", css_class="col-md-6 col-lg-3"),
                Column("labels", css_class="col-md-6 col-lg-3"),
            ),
            *(["mode"] if "mode" in self.fields else []),
            *(rule if "conditions" in self.fields else []),
            *words,
        )

    def clean_labels(self) -> list[str]:
        return labels_of(self.cleaned_data["labels"])

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


class BulkForm(forms.Form):
    """What is done to the segments that were ticked in the list."""

    ARCHIVE, UNARCHIVE, MOVE, LABEL, UNLABEL, OWN = "archive", "unarchive", "move", "label", "unlabel", "own"
    VERBS = (
        (MOVE, gettext_lazy("Move to a folder")),
        (LABEL, gettext_lazy("Add labels")),
        (UNLABEL, gettext_lazy("Take labels off")),
        (OWN, gettext_lazy("Set the owner")),
        (ARCHIVE, gettext_lazy("Archive")),
    )

    verb = forms.ChoiceField(choices=[*VERBS, (UNARCHIVE, "")])
    folder = forms.CharField(max_length=100, required=False)
    labels = forms.CharField(max_length=1000, required=False)
    owner = PersonField(queryset=User.objects.none(), required=False)
    slugs = forms.ModelMultipleChoiceField(Segment.objects.select_related("owner"), to_field_name="slug")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner = self.fields["owner"]
        assert isinstance(owner, PersonField)
        owner.queryset = User.objects.filter(is_active=True)

    def clean_labels(self) -> list[str]:
        return labels_of(self.cleaned_data["labels"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        verb = cleaned.get("verb")
        if verb in (self.LABEL, self.UNLABEL) and not cleaned.get("labels") and "labels" not in self.errors:
            self.add_error("labels", _("Write at least one label."))
        if verb == self.OWN and not cleaned.get("owner"):
            self.add_error("owner", _("Choose an owner."))
        return cleaned


class PeopleForm(forms.Form):
    """Contacts put in or taken out by hand: addresses or external ids, one per line or with commas between, or a file of them."""

    ADD, REMOVE, LEAVE = "add", "remove", "leave_to_rule"
    MOST = 5_000
    MOST_IN_FILE = 100_000
    LARGEST_FILE = 20_000_000  # bytes

    verb = forms.ChoiceField(choices=[(ADD, ""), (REMOVE, ""), (LEAVE, "")])
    names = forms.CharField(widget=forms.Textarea, max_length=500_000, required=False)
    file = forms.FileField(required=False, allow_empty_file=True)
    reason = forms.CharField(max_length=500, required=False)

    def clean_names(self) -> list[str]:
        text: str = self.cleaned_data["names"]
        names = [name.strip() for line in text.splitlines() for name in line.replace(";", ",").split(",")]
        listed = list(dict.fromkeys(name for name in names if name))
        if len(listed) > self.MOST:
            raise forms.ValidationError(
                _("At most %(most)s people at once; choose a file for more.") % {"most": f"{self.MOST:,}"}
            )
        return listed

    def clean_file(self) -> list[str]:
        file = self.cleaned_data["file"]
        if file is None:
            return []
        if file.size > self.LARGEST_FILE:
            raise forms.ValidationError(
                _("The file is larger than %(size)s MB.") % {"size": self.LARGEST_FILE // 1_000_000}
            )
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise forms.ValidationError(_("The file is not UTF-8 text.")) from error
        names = names_in_file(text)
        if len(names) > self.MOST_IN_FILE:
            raise forms.ValidationError(_("At most %(most)s people in one file.") % {"most": f"{self.MOST_IN_FILE:,}"})
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["names"] = list(dict.fromkeys([*cleaned.get("names", []), *(cleaned.get("file") or [])]))
        if not cleaned["names"] and not self.errors:
            self.add_error("names", _("Name somebody, or choose a file."))
        return cleaned


def names_in_file(text: str) -> list[str]:
    """E-mail addresses or external ids of a CSV file or JSON lines: of the columns so called, else of the first column."""
    if text.lstrip().startswith("{"):
        return list(dict.fromkeys(name for line in text.splitlines() if (name := _name_in_json(line))))
    head = text[: text.find("\n")] if "\n" in text else text
    rows = list(csv.reader(io.StringIO(text), delimiter=max(",;\t|", key=head.count)))
    if not rows:
        return []
    titles = [re.sub(r"[^a-z]", "", title.lower()) for title in rows[0]]
    wanted = [titles.index(title) for title in ("externalid", "email", "emailaddress", "mail") if title in titles]
    rows = rows[1:] if wanted else rows
    found = []
    for row in rows:
        name = next((row[place].strip() for place in wanted or [0] if place < len(row) and row[place].strip()), "")
        if name:
            found.append(name)
    return list(dict.fromkeys(found))


def _name_in_json(line: str) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(row, dict):
        return ""
    return str(row.get("external_id") or row.get("email") or "").strip()
