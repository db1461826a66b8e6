"""Order, loops and users over the graph of definitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from segments import graph
from segments.graph import Definition, corner, in_order, is_definition, loop_through, used_by


@dataclass(frozen=True)
class Item:
    key: str
    reads: frozenset[str]


def item(key: str, *reads: str) -> Item:
    return Item(key, frozenset(reads))


def define(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, Iterable[str]]) -> None:
    made = [
        Definition(key, key.partition(":")[2].upper(), key.partition(":")[0], f"/{key}", frozenset(reads))
        for key, reads in found
    ]
    monkeypatch.setattr(graph, "_definition_sources", [lambda: made])


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("segment:a", "segment:a"),
        ("persona:cfo", "personas"),
        ("contact.persona", "personas"),
        ("score.default.total", "score:default"),
        ("score:default", "score:default"),
        ("contact.title", "contact.title"),
    ],
)
def test_a_read_leads_to_its_corner(read: str, expected: str) -> None:
    assert corner(read) == expected
    assert is_definition(read) == (expected != "contact.title")


def test_each_comes_after_what_it_reads() -> None:
    items = [
        item("segment:a", "persona:cfo", "contact.title"),
        item("score:default", "segment:a"),
        item("personas", "segment:z", "contact.title"),
        item("segment:z", "contact.country"),
        item("segment:b", "score.default.total"),
    ]
    assert [one.key for one in in_order(items)] == ["segment:z", "personas", "segment:a", "score:default", "segment:b"]


def test_a_loop_in_the_rows_hides_nobody() -> None:
    items = [item("segment:a", "segment:b"), item("segment:b", "segment:a"), item("segment:c", "segment:b")]
    assert sorted(one.key for one in in_order(items)) == ["segment:a", "segment:b", "segment:c"]


def test_loops_go_through_any_kind_and_are_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    define(
        monkeypatch,
        ("segment:a", ["contact.title"]),
        ("persona:cfo", ["segment:a"]),
        ("persona:ceo", ["contact.title"]),
        ("score:default", ["contact.persona", "contact.title"]),
        ("program:welcome", ["score.default.total"]),
    )
    assert loop_through("segment:a", ["program:welcome"]) == [
        "segment:a", "program:welcome", "score.default.total", "contact.persona", "segment:a",
    ]  # fmt: skip
    # personas are one corner: a rule that names one depends on those before it
    assert loop_through("persona:ceo", ["persona:cfo"]) == ["persona:ceo", "persona:ceo"]
    assert loop_through("segment:b", ["program:welcome", "segment:a"]) == []
    assert loop_through("segment:a", ["segment:a"]) == ["segment:a", "segment:a"]


def test_users_are_those_that_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    define(
        monkeypatch,
        ("segment:a", ["contact.title", "score.default.grade"]),
        ("segment:b", ["segment:a", "persona:cfo"]),
        ("persona:cfo", ["segment:a"]),
        ("score:default", ["contact.persona"]),
    )
    keys = ("segment:a", "segment:b", "persona:cfo", "score:default", "contact.title")
    names = {key: [user.key for user in used_by(key)] for key in keys}
    assert names == {
        "segment:a": ["persona:cfo", "segment:b"],
        "segment:b": [],
        "persona:cfo": ["score:default", "segment:b"],
        "score:default": ["segment:a"],
        "contact.title": ["segment:a"],
    }
