"""What must be held before a contact goes or becomes one with another: rooms whose workers do things for people register their rows.

Whoever deletes waits for the worker that is at it, and the worker passes over whom somebody deletes, instead of either failing at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from leads import queries

Hold = Callable[[Sequence[int]], None]

_holds: list[Hold] = []


def register_hold(hold: Hold) -> None:
    """`hold` locks the rows of these contacts, in one order, until the transaction ends."""
    _holds.append(hold)


def hold(contact_ids: Sequence[int]) -> None:
    """One statement for each room that registered, one for the signals; the caller is in a transaction."""
    for each in _holds:
        each(contact_ids)
    queries.lock_signals(contact_ids)
