"""`ConditionsField`: a rule in any form. The textarea holds the document; the rows beside it are drawn from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import Script
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from segments.builder.catalogue import Catalogue, PickerGroup
from segments.builder.documents import in_reading_order, line_of, read_document, read_rows
from segments.builder.lines import lines_of
from segments.builder.preview import Message
from segments.builder.rows import Group, Rows
from segments.conditions import BadConditions, Problem, check, leaves, sentence, to_document
from segments.conditions.check import MOST_CHARACTERS
from segments.conditions.reading import NotJson
from segments.conditions.tree import MOST_LEAVES, MOST_LEVELS

EVERYBODY: dict[str, Any] = {"all": []}


@dataclass(frozen=True)
class Builder:
    """What the template of the widget shows."""

    id: str
    field_id: str
    name: str
    offers: str
    text: str
    tab: str
    root: Group
    picker: list[PickerGroup]
    sentence: str
    is_invalid: bool
    described_by: str
    is_unsaved: bool = False
    problems: Sequence[Message] = ()
    most_leaves: int = MOST_LEAVES
    most_levels: int = MOST_LEVELS
    most_characters: int = MOST_CHARACTERS


class ConditionsWidget(forms.Textarea):
    """A textarea with JSON; with JavaScript, rows, counts and people round it."""

    template_name = "segments/_builder.html"
    offers_everybody = False

    class Media:
        css = {"all": ["segments/builder.css"]}
        js = [Script("segments/builder.js", type="module")]

    def use_required_attribute(self, initial: Any) -> bool:
        return False  # a hidden textarea that is required would stop the form without a word

    def format_value(self, value: Any) -> str:
        if value is None or value == "":
            return ""
        if isinstance(value, str):
            return value
        return json.dumps(in_reading_order(value), indent=2, ensure_ascii=False)

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        attributes = {**self.attrs, **(attrs or {})}
        builder = self.builder(name, self.format_value(value), attributes, is_unsaved=isinstance(value, str))
        return render_to_string(self.template_name, {"builder": builder})

    def builder(self, name: str, text: str, attrs: dict[str, Any], *, is_unsaved: bool) -> Builder:
        """What is drawn for the text: rows when it is a document, else the JSON as it was typed. Text as it was sent is not saved."""
        catalogue = Catalogue()
        rows = Rows(catalogue, offers_everybody=self.offers_everybody)
        field_id = str(attrs.get("id") or f"id_{name}")
        problems: list[Message] = []
        try:
            if len(text) > MOST_CHARACTERS:
                raise NotJson(_("This is too large to be a rule."))
            document, tab = read_rows(text), "rows"
        except NotJson as error:
            document, tab, problems = None, "json", [Message(str(error), line=line_of(error))]
        words, bad = _read_back(document, is_strict=is_unsaved)
        if bad:
            lines = lines_of(text, [problem.path for problem in bad])
            problems = [Message(problem.message, problem.path, lines[problem.path]) for problem in bad]
        return Builder(
            id=f"{field_id}-builder",
            field_id=field_id,
            name=name,
            offers="everybody" if self.offers_everybody else "",
            text=text,
            tab=tab,
            root=rows.root(document, is_everybody=document == EVERYBODY),
            picker=catalogue.picker(),
            sentence=words,
            problems=problems,
            is_unsaved=is_unsaved,
            is_invalid=bool(attrs.get("aria-invalid")) or "is-invalid" in str(attrs.get("class", "")),
            described_by=str(attrs.get("aria-describedby", "")),
        )


class ConditionsField(forms.Field):
    """A document of conditions; the cleaned value is one that `check` took, or None when nothing was written.

    `offers_everybody` lets the marketer pick everybody by name, which cleans to {"all": []}; else a rule without a
    condition counts as nothing written, so that no segment holds everybody by accident.
    """

    widget = ConditionsWidget

    def __init__(self, *, offers_everybody: bool = False, **kwargs: Any) -> None:
        self.offers_everybody = offers_everybody
        super().__init__(**kwargs)
        self.widget.offers_everybody = offers_everybody

    def to_python(self, value: Any) -> Any:
        """The document as it is stored; every problem of it as an error of the field."""
        if value in self.empty_values:
            return None
        try:
            if isinstance(value, str) and len(value) > MOST_CHARACTERS:
                raise NotJson(_("This is too large to be a rule."))
            document = read_document(value) if isinstance(value, str) else value
        except NotJson as error:
            raise ValidationError(str(error), code="json") from error
        if document is None or (document == EVERYBODY and not self.offers_everybody):
            return None
        try:
            tree = check(document)
        except BadConditions as error:
            raise ValidationError(
                [ValidationError(str(problem), code="conditions") for problem in error.problems]
            ) from error
        return to_document(tree) if self.offers_everybody or any(leaves(tree)) else None

    def validate(self, value: Any) -> None:
        if self.required and value is None:
            raise ValidationError(_("Add at least one condition."), code="required")

    def prepare_value(self, value: Any) -> Any:
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((read_document(data) if isinstance(data, str) else data) != initial)
        except NotJson:
            return True


def sentence_of(document: Any) -> str:
    """The rule read back; empty for none or one that cannot be read."""
    return _read_back(document)[0]


def _read_back(document: Any, *, is_strict: bool = False) -> tuple[str, list[Problem]]:
    """The rule in words, or what is wrong with it. What was just written has to name what exists; what is stored may outlive it."""
    if document is None:
        return "", []
    try:
        return sentence(check(document, allow_unknown_slugs=not is_strict)), []
    except BadConditions as error:
        return "", error.problems
