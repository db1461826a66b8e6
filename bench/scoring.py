"""What the yardsticks of scoring share: one model's node, a full run, the longest write, few contacts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any

from bench.segments import pair, timed

ByHand = Callable[[Any, datetime, Sequence[int] | None], int]


class Told(dict[str, Any]):
    """What was measured; each figure is also told on standard error at once, since a run over millions takes its time."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        print(
            f"{datetime.now().astimezone():%H:%M:%S} {name}: {json.dumps(value, default=str)}",
            file=sys.stderr,
            flush=True,
        )

    def tell(self, **figures: Any) -> None:
        for name, value in figures.items():
            self[name] = value


def node(model: Any) -> Any:
    from scoring import nodes
    from scoring.models import ScoreVersion
    from segments.nodes import Clock
    from segments.rules import catalogue_stamp

    version = ScoreVersion.objects.select_related("model").get(model=model, state="live")
    return nodes.node_of(version, catalogue_stamp(), Clock())


def score_everybody(model: Any, now: datetime) -> int:
    one = node(model)
    one.make_stale(now)
    changed: int = one.refresh(contacts=None, now=now)
    return changed


@contextmanager
def longest_write() -> Iterator[list[float]]:
    """Seconds of the longest transaction that writes a chunk, within; and how many rows of the ledger all of them wrote."""
    from scoring.queries import running

    found = [0.0, 0]
    write = running._write_chunk

    def timed_write(*arguments: Any, **values: Any) -> Any:
        started = perf_counter()
        written = write(*arguments, **values)
        found[0] = max(found[0], perf_counter() - started)
        found[1] += written.rows
        return written

    running._write_chunk = timed_write
    try:
        yield found
    finally:
        running._write_chunk = write


def tell_changed(told: Told, model: Any, by_hand: ByHand, now: datetime, times: int) -> None:
    """10,000 and 1,000 changed contacts beside the hand-written form, one contact, and a look with nothing to do."""
    from leads.models import Contact

    everybody = list(Contact.objects.order_by("?").values_list("pk", flat=True)[:10_000])
    for number in (10_000, 1_000):
        ids = everybody[:number]
        told[f"changed_{number}"] = pair(
            partial(node(model).refresh, contacts=ids, now=now), partial(by_hand, model, now, ids), times
        )
    single = sorted(timed(partial(node(model).refresh, contacts=[one], now=now), 1) * 1000 for one in everybody[:60])
    told["one_contact_ms"] = {"p50": round(single[30], 1), "p95": round(single[56], 1)}
    told["nothing_to_do_ms"] = nothing_to_do(now)


def nothing_to_do(now: datetime) -> dict[str, float]:
    """What a beat asks of scoring when nothing is due: whether models wait; milliseconds altogether and in the database."""
    from django.db import connection

    from scoring.nodes import models_wait

    spent = [0.0]

    def stopwatch(execute: Callable[..., Any], *arguments: Any) -> Any:
        started = perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent[0] += perf_counter() - started

    with connection.execute_wrapper(stopwatch):
        seconds = [timed(lambda: models_wait(now), 1) for _number in range(20)]
    return {"all": round(sorted(seconds)[10] * 1000, 1), "database": round(spent[0] * 1000 / 20, 1)}
