"""Forms of the import pages: the upload, how the file is read, and which column fills which field."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.importing import mapping as mappings
from leads.importing.fields import CUSTOM_OF, FIELDS
from leads.importing.mapping import Mapping
from leads.importing.reading import DELIMITERS, ENCODINGS
from leads.importing.survey import DATE_FORMATS
from leads.models import CustomField, ImportJob

MOST_VALUES = 1_500  # inputs on the page; a browser sends at most DATA_UPLOAD_MAX_NUMBER_FIELDS
EXTRA_ROWS = 4
NEW = "new"
_SAMPLE = datetime(2026, 3, 31, 14, 5)  # noqa: DTZ001 — only its spelling is shown


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"), widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,.jsonl,.ndjson"})
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("What is in it?"),
        required=False,
        widget=forms.RadioSelect,
        choices=[("", gettext_lazy("Find out from the columns")), *ImportJob.Kind.choices],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(Field("file"))


class ReadingForm(forms.Form):
    """Corrects what was found out about the file itself."""

    kind = forms.ChoiceField(label=gettext_lazy("Holds"), choices=ImportJob.Kind.choices)
    encoding = forms.ChoiceField(label=gettext_lazy("Encoding"), required=False)
    delimiter = forms.ChoiceField(label=gettext_lazy("Delimiter"), required=False)

    def __init__(self, *args: Any, job: ImportJob, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"kind": job.kind, "encoding": job.encoding, "delimiter": job.delimiter})
        super().__init__(*args, **kwargs)
        encodings = {job.encoding: job.encoding.upper(), **ENCODINGS}
        self.fields["encoding"].choices = list(encodings.items())  # type: ignore[attr-defined]
        self.fields["delimiter"].choices = list(DELIMITERS.items())  # type: ignore[attr-defined]
        if job.format != "csv":
            del self.fields["delimiter"]
        for name in self.fields:
            self.fields[name].widget.attrs["class"] = "form-select form-select-sm"


@dataclass
class ValueRow:
    """One value of a column and what it becomes; empty = stays."""

    name: str
    text: str
    count: int
    replacement: str
    choices: list[str] = field(default_factory=list)


@dataclass
class ColumnRow:
    """One column of the file with what was chosen for it."""

    place: int
    name: str
    filled: int
    spelled: str
    examples: list[str]
    chosen: str
    type: str
    values: list[ValueRow]
    has_swaps: bool

    @property
    def target_name(self) -> str:
        return f"target-{self.place}"

    @property
    def type_name(self) -> str:
        return f"type-{self.place}"


@dataclass
class ExtraRow:
    """A field that no column of its own fills: a fixed value, or another column's."""

    place: int
    target: str = ""
    constant: str = ""
    column: str = ""


class ColumnsForm:
    """The page of columns: built from a mapping, read back into one."""

    def __init__(self, job: ImportJob, mapping: Mapping, types: Table[str, str]) -> None:
        self.job = job
        self.kind = job.kind
        self.prefix = mappings.custom_prefix(job.kind)
        self._customs = (
            {one.key: one for one in CustomField.objects.filter(of=CUSTOM_OF[job.kind])}
            if job.kind in CUSTOM_OF
            else {}
        )
        self.mapping = mapping
        self._left = MOST_VALUES
        self.columns = [self._column(place, column, types) for place, column in enumerate(job.columns)]
        self.extras = self._extras()
        self.dates = mapping.dates or ""
        self.decimal = mapping.decimal

    # What the page shows

    def _column(self, place: int, column: dict[str, Any], types: Table[str, str]) -> ColumnRow:
        name = column["name"]
        targets = self.mapping.columns.get(name) or []
        target = (targets[0] if isinstance(targets, list) and targets else targets) or ""
        assert isinstance(target, str)
        key = target.removeprefix(self.prefix)
        is_new = target.startswith(self.prefix) and key not in self._customs
        swaps = self.mapping.values.get(target) or self.mapping.values.get(key) or {}
        return ColumnRow(
            place=place,
            name=name,
            filled=column["filled"],
            spelled=str(CustomField.Type(column["type"]).label),
            examples=column["examples"],
            chosen=NEW if is_new else target,
            type=types.get(key, "") if is_new else "",
            values=self._values(place, column, target, swaps),
            has_swaps=bool(swaps),
        )

    def _values(self, place: int, column: dict[str, Any], target: str, swaps: Table[str, str | None]) -> list[ValueRow]:
        counted = column["values"] or []
        words = FIELDS[self.kind][target].words if target in FIELDS[self.kind] else ()
        is_choice = bool(words) or len(counted) * 2 <= column["filled"] or bool(swaps)
        if not is_choice or len(counted) > self._left:
            return []
        self._left -= len(counted)
        return [
            ValueRow(f"value-{place}-{number}", text, count, swaps.get(text) or "", list(words))
            for number, (text, count) in enumerate(counted)
        ]

    def _extras(self) -> list[ExtraRow]:
        rows = [
            ExtraRow(0, target=target, column=name)
            for name, targets in self.mapping.columns.items()
            if isinstance(targets, list)
            for target in targets[1:]
        ]
        rows += [ExtraRow(0, target=target, constant=str(value)) for target, value in self.mapping.constants.items()]
        rows += [ExtraRow(0) for _number in range(max(1, EXTRA_ROWS - len(rows)))]
        for place, row in enumerate(rows):
            row.place = place
        return rows

    @property
    def field_options(self) -> list[tuple[str, str]]:
        return [(one.key, str(one.label)) for one in FIELDS[self.kind].values()]

    @property
    def custom_options(self) -> list[tuple[str, str]]:
        return [(f"{self.prefix}{one.key}", one.label) for one in self._customs.values()]

    @property
    def new_label(self) -> str:
        return _("Keep as property") if self.kind == ImportJob.Kind.ACTIVITIES else _("New custom field")

    @property
    def makes_fields(self) -> bool:
        return self.kind in CUSTOM_OF

    @property
    def type_options(self) -> list[tuple[str, str]]:
        wanted = [value for value in CustomField.Type.values if value != CustomField.Type.CHOICE]
        return [(value, str(CustomField.Type(value).label)) for value in wanted]

    @property
    def date_options(self) -> list[tuple[str, str]]:
        """Formats that some column's values fit, first; then the usual ones."""
        found = [form for column in self.job.columns for form in column["dates"] if form != "ISO"]
        forms_ = dict.fromkeys([*([self.dates] if self.dates else []), *found, *DATE_FORMATS])
        return [(form, _SAMPLE.strftime(form)) for form in forms_ if form not in ("ISO", "%Y-%m-%d")]

    @property
    def is_date_doubtful(self) -> bool:
        """More than one format fits the columns that this one was chosen for."""
        return any(
            self.dates in column["dates"] and len([form for form in column["dates"] if form != "ISO"]) > 1
            for column in self.job.columns
            if self.dates
        )

    # What the page sends

    @classmethod
    def read(cls, job: ImportJob, data: Table[str, str]) -> tuple[Mapping, dict[str, str]]:
        """The mapping and the types of new fields (empty = inferred) that the form holds."""
        prefix = mappings.custom_prefix(job.kind)
        taken = mappings.custom_keys(job.kind)
        columns: dict[str, str | list[str]] = {}
        types: dict[str, str] = {}
        values: dict[str, dict[str, str | None]] = {}
        for place, column in enumerate(job.columns):
            name = column["name"]
            target = data.get(f"target-{place}", "")
            if target == NEW:
                key = name.removeprefix(prefix)
                if job.kind in CUSTOM_OF:
                    key = mappings.field_key(key, taken)
                    taken.append(key)
                    type = data.get(f"type-{place}", "")
                    if type in CustomField.Type.values:
                        types[key] = type
                target = f"{prefix}{key}"
            if not target:
                continue
            columns[name] = target
            swaps: dict[str, str | None] = {}
            for number, (text, _count) in enumerate(column["values"] or []):
                replacement = data.get(f"value-{place}-{number}", "").strip()
                if replacement and replacement != text:
                    swaps[text] = replacement
            if swaps:
                values[target] = swaps
        constants = _read_extras(job, data, columns)
        mapping = Mapping(
            columns=columns,
            values=values,
            dates=data.get("dates") or None,
            ignore=tuple(column["name"] for column in job.columns if column["name"] not in columns),
            constants=constants,
            decimal="," if data.get("decimal") == "," else ".",
        )
        return mappings.from_document(mapping.to_document()), types


def _read_extras(job: ImportJob, data: Table[str, str], columns: dict[str, str | list[str]]) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    names = {column["name"] for column in job.columns}
    for place in range(50):
        target = data.get(f"extra-target-{place}", "")
        constant, column = data.get(f"extra-constant-{place}", "").strip(), data.get(f"extra-column-{place}", "")
        if not target:
            continue
        if column in names:
            before = columns.get(column, [])
            columns[column] = [*(before if isinstance(before, list) else [before]), target]
        elif constant:
            constants[target] = constant
    return constants
