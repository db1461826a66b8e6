"""What saving a segment's rule does beyond the segment: each room says, in numbers, what happens to those of its definitions that read it."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import ngettext

from segments.graph import Definition
from segments.models import Segment
from segments.queries_pages import Staged

Tell = Callable[[Definition, Segment, Staged], list[str]]

_tellers: dict[str, Tell] = {}


def register_consequence(kind: str, tell: Tell) -> None:
    """`kind` is the first part of a definition's key (score, program). `tell` returns sentences; a few statements over the staged people."""
    if kind in _tellers:
        raise ValueError(f"Consequences of “{kind}” are registered already.")
    _tellers[kind] = tell


def told(definition: Definition, segment: Segment, staged: Staged) -> list[str]:
    """What happens to a definition that reads the segment itself. Without a room that knows better: whom it looks at again."""
    tell = _tellers.get(definition.key.partition(":")[0])
    return tell(definition, segment, staged) if tell else looked_at_again(staged)


def looked_at_again(staged: Staged) -> list[str]:
    number = staged.joining + staged.leaving
    if not number:
        return []
    return [
        ngettext("%(number)s person is looked at again", "up to %(number)s people are looked at again", number)
        % {"number": f"{number:,}"}
    ]
