"""Parts of a form that stay folded until somebody wants them: a name, and in one line what is set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from crispy_forms.layout import Div
from django import forms
from django.forms import BoundField
from django.template.loader import render_to_string

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str


class Folded(Div):  # type: ignore[misc]  # crispy brings no types
    """`unset` is said where nothing is set. Open from the start where one of its fields is wrong."""

    def __init__(self, title: StrOrPromise, *fields: str, unset: StrOrPromise = "") -> None:
        super().__init__(*fields)
        self.title, self.names, self.unset = title, fields, unset

    def render(self, form: forms.BaseForm, context: Any, template_pack: Any = None, **kwargs: Any) -> str:
        bound = [form[name] for name in self.names if name in form.fields]
        said = [words for field in bound for words in said_by(field)]
        about = {
            "title": self.title,
            "summary": " · ".join(said) or self.unset,
            "unset": self.unset,
            "is_open": any(field.errors for field in bound),
            "fields": self.get_rendered_fields(form, context, template_pack, **kwargs),
        }
        return render_to_string("nurture/_folded.html", about)


def said_by(field: BoundField) -> Iterator[str]:
    """What a field says in a line; nothing where it is empty, or holds a whole text."""
    value = field.value()
    if value in (None, "", False) or isinstance(field.field.widget, forms.Textarea):
        return
    if isinstance(field.field, forms.BooleanField):
        yield str(field.label)
    elif isinstance(field.field, forms.ChoiceField):
        choices: Iterable[tuple[Any, Any]] = field.field.choices  # type: ignore[assignment]  # none of ours are in groups
        yield from (str(words) for key, words in choices if str(key) == str(getattr(value, "pk", value)))
    else:
        yield str(value)
