"""What the tests of segments share."""

from __future__ import annotations

import pytest

from segments import graph, nodes, turn


@pytest.fixture
def only_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine with this room alone: no score models, no programs, no followers."""
    monkeypatch.setattr(graph, "_node_sources", [(nodes.segment_nodes, nodes.segments_wait)])
    monkeypatch.setattr(graph, "_definition_sources", [nodes.segment_definitions])
    monkeypatch.setattr(turn, "_followers", [])
