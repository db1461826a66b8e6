"""Wakes people who wait for something about themselves: a contact that changed may meet the condition, or have another date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from nurture import queries_around as queries
from nurture import tree
from nurture.kinds import KINDS
from nurture.models import ProgramVersion
from nurture.queries_around import Waiting


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """A follower of the turn: changed contacts who wait are due at another moment; how many. One statement where no step listens."""
    return _wake(queries.listening(contact_ids, now=now), now)


def sweep_page(program_id: int, *, after: int, last: int, now: datetime) -> int:
    """The same for a page of a program's walks, as after a pause."""
    return _wake(queries.listening_page(program_id, after=after, last=last, now=now), now)


def _wake(waiting: Sequence[Waiting], now: datetime) -> int:
    groups: defaultdict[tuple[int, str], list[Waiting]] = defaultdict(list)
    for row in waiting:
        groups[row.version_id, row.step].append(row)
    versions = ProgramVersion.objects.in_bulk({version_id for version_id, _step in groups})
    steps = {key: {step.id: step for step in tree.check(version.tree).walk()} for key, version in versions.items()}
    moments: dict[int, datetime] = {}
    for (version_id, step_id), rows in sorted(groups.items()):
        step = steps[version_id].get(step_id)
        wake = KINDS[step.kind].wake if step else None
        if step is None or wake is None:
            continue
        due = wake(step.values, rows, now)
        moments |= {row.id: due[row.id] for row in rows if due.get(row.id, row.next_step_at) != row.next_step_at}
    return queries.set_due(moments) if moments else 0
