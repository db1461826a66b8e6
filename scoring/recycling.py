"""Programs that a recycled lead may go to. The room above registers them; it reads the wish from HandOff.program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Choices = Callable[[], Sequence[tuple[str, str]]]

_sources: list[Choices] = []


def register_programs(source: Choices) -> None:
    """`source()` gives (slug, name) of the programs that take people in now."""
    _sources.append(source)


def programs() -> list[tuple[str, str]]:
    """One statement for each source."""
    return [choice for source in _sources for choice in source()]
