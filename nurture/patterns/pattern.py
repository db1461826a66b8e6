"""The shape of a pattern: steps, the letters that they send, what stands around them, and the shorthand to write them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from nurture import tree
from nurture.patterns.starters import FOOT, HEAD

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

ELSEWHERE = "https://www.example.com/"  # where buttons of letters lead until somebody says where; the problems panel warns of it


@dataclass(frozen=True)
class Letter:
    """A mail of a pattern. Paragraphs may hold placeholders; a button is (words, page of the company's own site)."""

    key: str
    name: str
    subject: str
    preheader: str
    paragraphs: tuple[str, ...]
    button: tuple[str, str] | None = None

    def body(self) -> str:
        """MJML, as the letter that new templates begin with."""
        texts = "".join(f"        <mj-text>{escape(text, quote=False)}</mj-text>\n" for text in self.paragraphs)
        if self.button:
            words, page = self.button
            texts += f'        <mj-button href="{ELSEWHERE}{page}">{escape(words)}</mj-button>\n'
        texts += (
            "        <mj-text>{{ owner.name | default: workspace.sender_name }}<br />{{ workspace.name }}</mj-text>\n"
        )
        return (
            HEAD
            + '    <mj-section border-radius="8px" padding="32px 16px 16px">\n      <mj-column>\n'
            + '        <mj-text>Hello {{ contact.first_name | default: "there" }},</mj-text>\n'
            + texts
            + "      </mj-column>\n    </mj-section>\n"
            + FOOT
        )


@dataclass(frozen=True)
class Pattern:
    """`who` says whom to take in; `document` names letters by their key where a step wants the slug of a template."""

    label: StrOrPromise
    about: StrOrPromise
    who: StrOrPromise
    document: tree.Document
    letters: tuple[Letter, ...] = ()
    around: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step_total(self) -> int:
        return sum(1 for _step in tree.check(self.document).walk())

    def with_templates(self, slugs: Mapping[str, str]) -> tree.Document:
        """The document with the slugs of real templates: letter's key -> slug."""
        return {"steps": _named(self.document["steps"], slugs)}


def _named(nodes: list[tree.Document], slugs: Mapping[str, str]) -> list[tree.Document]:
    return [
        {
            key: _named(value, slugs)
            if isinstance(value, list)
            else slugs.get(value, value)
            if key == "template"
            else value
            for key, value in node.items()
        }
        for node in nodes
    ]


# --- Shorthand ----------------------------------------------------------------------------------------------------------------


def step(step_id: str, kind: str, **values: Any) -> tree.Document:
    return {"id": step_id, "kind": kind, **values}


def mail(letter: str) -> tree.Document:
    """The step that sends a letter has its key."""
    return step(letter, "send_email", template=letter)


def days(step_id: str, number: int) -> tree.Document:
    return step(step_id, "wait", **{"for": {"value": number, "unit": "days"}})


def morning(step_id: str, *weekdays: int) -> tree.Document:
    """Nine o'clock on the contact's own clock, on one of these weekdays (1 = Monday)."""
    until = {"days": list(weekdays or (2, 3, 4)), "at": "09:00", "clock": "contact"}
    return step(step_id, "wait", until=until)


def done(*kinds: str, within: int) -> dict[str, Any]:
    return {"did": list(kinds), "when": {"op": "in_last", "value": within, "unit": "days"}}


def branch(
    step_id: str, conditions: Mapping[str, Any], *, yes: list[tree.Document], no: list[tree.Document]
) -> tree.Document:
    return step(step_id, "branch", conditions=dict(conditions), yes=yes, no=no)


def until(
    step_id: str, conditions: Mapping[str, Any], number: int, *, yes: list[tree.Document], no: list[tree.Document]
) -> tree.Document:
    """Wait until it holds, so many days at most."""
    ways = {WAYS[0]: yes, WAYS[1]: no}
    return step(step_id, "wait_until", conditions=dict(conditions), days=number, **ways)


WAYS = ("met", "late")  # of “wait until”
