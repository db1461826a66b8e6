"""Who uses a field, a tag or a stage: higher rooms say it, so that nothing goes or changes under a rule that reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from leads.models import CustomField
from leads.text import fold

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str


class Use(Protocol):
    """A definition that reads something: what it is called, what it is, where its page is."""

    @property
    def label(self) -> str: ...

    @property
    def kind(self) -> StrOrPromise: ...

    @property
    def url(self) -> str: ...


Uses = Mapping[str, Sequence[Use]]

_sources: list[Callable[[], Uses]] = []


def register_usage(source: Callable[[], Uses]) -> None:
    """Let a room say who uses what, by key: `contact.title`, `company.custom.plan`, `tag:partner`, `stage:mql`."""
    _sources.append(source)


def uses() -> dict[str, list[Use]]:
    """key -> its users. The statements of the sources: one per kind of definition, whatever the number of keys."""
    found: dict[str, list[Use]] = {}
    for source in _sources:
        for key, users in source().items():
            found.setdefault(key, []).extend(users)
    return found


def key_of_field(field: CustomField) -> str:
    """What rules call it: `contact.custom.plan`."""
    return f"{field.of}.custom.{field.key}"


def key_of_tag(tag: str) -> str:
    return f"tag:{fold(tag)}"


def key_of_stage(slug: str) -> str:
    return f"stage:{slug}"
