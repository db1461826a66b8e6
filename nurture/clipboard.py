"""What a marketer cut or copied on a canvas: a step with what lies below it, kept in their session, put in at any + of any draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.http import HttpRequest

from nurture import tree
from nurture.kinds import KINDS, Names

KEY = "nurture_clipboard"


@dataclass(frozen=True)
class Held:
    """`step` is its id in the program it is from; cut steps stand there until they are put in elsewhere."""

    program: str
    step: str
    node: Mapping[str, Any]
    words: str
    steps: int
    is_cut: bool


def hold(request: HttpRequest, *, program: str, document: tree.Document, step: str, is_cut: bool) -> Held:
    """Cut or copy. Raises NoSuchStep."""
    node = tree.take(document, step)
    checked = tree.check({"steps": [node]})
    words = KINDS[node["kind"]].words(checked.steps[0].values, Names())
    held = Held(program, step, node, words, sum(1 for _step in checked.walk()), is_cut)
    request.session[KEY] = asdict(held)
    return held


def held(request: HttpRequest) -> Held | None:
    stored = request.session.get(KEY)
    return Held(**stored) if stored else None


def drop(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def put(held: Held, document: tree.Document, *, program: str, place: tree.Place) -> tuple[tree.Document, str]:
    """The document with what is held at the place, and its id: moved within the program where it was cut, else a copy.

    Raises NoSuchStep where the place is gone, or lies within what would move.
    """
    is_here = any(step.id == held.step for step in tree.check(document).walk())
    moved = held.step if held.is_cut and held.program == program and is_here else ""
    return tree.paste(document, place, dict(held.node), moved=moved)
