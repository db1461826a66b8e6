"""The list of hundreds of segments: filters, orders, folders, small lines of sizes, many changed at once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse

from segments import overview
from segments.actions import archive_segment, change_words, clean_labels
from segments.models import Membership, Segment, SegmentVersion
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = pytest.mark.django_db

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user())
    return client


def folders(client: Client, **query: Any) -> dict[str, list[str]]:
    found = client.get(reverse("segments:segment-list"), query).context["overview"].folders
    return {folder.name: [row.segment.name for row in folder.rows] for folder in found}


def names(client: Client, **query: Any) -> list[str]:
    return [name for group in folders(client, **query).values() for name in group]


def bulk(client: Client, verb: str, *segments: Segment, **values: str) -> list[str]:
    data = {"verb": verb, "slugs": [segment.slug for segment in segments], **values}
    answer = client.post(reverse("segments:segment-bulk"), data, follow=True)
    return [str(message) for message in answer.context["messages"]]


def test_segments_stand_in_their_folders_or_in_another_order(marketer: Client) -> None:
    make_segment(CFO, name="B", folder="markets")
    make_segment(CFO, name="A", folder="markets")
    make_segment(CFO, name="C", folder="Accounts")
    make_segment(CFO, name="D")
    Segment.objects.filter(name="C").update(member_count=9, updated_at=NOW + timedelta(days=1))
    assert folders(marketer) == {"Accounts": ["C"], "markets": ["A", "B"], "": ["D"]}
    assert folders(marketer, sort="name") == {"": ["A", "B", "C", "D"]}
    assert names(marketer, sort="largest")[0] == names(marketer, sort="changed")[0] == "C"
    assert names(marketer, sort="smallest")[-1] == "C"
    assert list(folders(marketer, sort="rubbish")) == ["Accounts", "markets", ""]


def test_each_filter_narrows(marketer: Client) -> None:
    owner = make_user(username="eve")
    inner = make_segment(CFO, name="Inner", folder="F", labels=["DACH", "q1"])
    make_segment({"in_segment": "inner"}, name="Outer", owner=owner)
    make_segment(name="Fixed", notes="for the fair")
    Segment.objects.filter(name="Inner").update(member_count=1, stale_since=None)
    Segment.objects.filter(name="Outer").update(problem="broken")
    assert names(marketer, q="fair") == ["Fixed"]
    assert names(marketer, folder="F") == names(marketer, label="DACH") == ["Inner"]
    assert names(marketer, folder="-") == ["Fixed", "Outer"]
    assert names(marketer, owner=owner.pk) == names(marketer, state="problem") == ["Outer"]
    assert names(marketer, mode="fixed") == ["Fixed"]
    assert names(marketer, state="empty") == names(marketer, state="waiting") == ["Fixed", "Outer"]
    assert names(marketer, state="unused") == ["Fixed", "Outer"]
    assert names(marketer, q="nothing of the kind", owner="x", state="x", mode="x") == []
    offered = marketer.get(reverse("segments:segment-list")).context["choices"]
    assert (offered.folders, offered.labels, offered.owners, offered.archived_count) == (
        ["F"], ["DACH", "q1"], [(owner.pk, "eve")], 0,
    )  # fmt: skip
    archive_segment(Segment.objects.get(name="Fixed"), actor=None, now=NOW)
    assert names(marketer, archived="yes") == ["Fixed"]
    assert inner.slug == "inner"


@pytest.mark.parametrize("number", [overview.OPEN_UP_TO, overview.OPEN_UP_TO + 1])
def test_many_folders_start_closed(marketer: Client, number: int) -> None:
    Segment.objects.bulk_create(
        Segment(slug=f"s{n}", name=f"S{n}", folder=f"F{n % 3}", mode="fixed", created_at=NOW, updated_at=NOW)
        for n in range(number)
    )
    shown = marketer.get(reverse("segments:segment-list")).context["overview"]
    assert (shown.number, len(shown.folders), shown.is_open) == (number, 3, number == overview.OPEN_UP_TO)
    assert [folder.number for folder in shown.folders] == [number // 3 + (number % 3 > n) for n in range(3)]
    assert [len(folder.rows) for folder in shown.folders] == [20, 20, 20] if shown.is_open else [0, 0, 0]
    rows = marketer.get(reverse("segments:segment-list"), {"folder": "F1", "part": "folder"}).context["folder"].rows
    assert [row.segment.name for row in rows] == sorted(f"S{n}" for n in range(1, number, 3))
    gone = marketer.get(reverse("segments:segment-list"), {"folder": "F9", "part": "folder"})
    assert (gone.status_code, gone.context["folder"]) == (200, None)


def test_sizes_come_as_small_lines(marketer: Client) -> None:
    grows, stays = make_segment(name="Grows"), make_segment(name="Stays")
    today = date(2026, 3, 2)
    Membership.objects.create(segment=grows, contact=make_contact(), since=NOW - timedelta(days=1), why="by_hand")
    lines = overview.sparks({grows.pk: 1, stays.pk: 0}, today=today, zone=ZoneInfo("UTC"))
    assert [(line.segment_id, line.words) for line in lines] == [
        (grows.pk, "30 days ago 0, now 1"), (stays.pk, "30 days ago 0, now 0"),
    ]  # fmt: skip
    heights = [point.partition(",")[2] for point in lines[0].points.split()]
    assert heights == ["22.0"] * 28 + ["2.0"] * 2
    answer = marketer.get(reverse("segments:segment-sizes"), {"ids": f"{grows.pk},{stays.pk},x,999999999"})
    assert [spark.segment_id for spark in answer.context["sparks"]] == [grows.pk, stays.pk]


def test_labels_are_tidy() -> None:
    assert clean_labels([" b ", "A", "a", "", "B"]) == ["A", "b"]


def test_many_are_moved_labelled_and_handed_over_at_once(marketer: Client) -> None:
    one, two, other = (
        make_segment(CFO, name="One", labels=["old"]),
        make_segment(name="Two"),
        make_segment(name="Other"),
    )
    owner = make_user()
    assert bulk(marketer, "move", one, two, folder=" Markets ") == ["2 segments changed."]
    assert bulk(marketer, "label", one, two, labels="DACH, q1, dach") == ["2 segments changed."]
    assert bulk(marketer, "unlabel", one, two, labels="OLD") == ["1 segment changed."]
    assert bulk(marketer, "own", two, owner=str(owner.pk)) == ["1 segment changed."]
    assert list(Segment.objects.order_by("name").values_list("name", "folder", "labels", "owner")) == [
        ("One", "Markets", ["DACH", "q1"], None), ("Other", "", [], None), ("Two", "Markets", ["DACH", "q1"], owner.pk),
    ]  # fmt: skip
    assert [version.reason for version in SegmentVersion.objects.filter(segment=two)] == [
        "Owner set", "Labelled", "Moved to “Markets”", "",
    ]  # fmt: skip
    one.refresh_from_db()
    assert (one.conditions, one.version, other.version) == (CFO, 4, 1)


@pytest.mark.parametrize(
    ("verb", "values"), [("label", {"labels": " , "}), ("own", {}), ("burn", {}), ("label", {"labels": "x" * 51})]
)
def test_half_an_order_does_nothing(marketer: Client, verb: str, values: dict[str, str]) -> None:
    segment = make_segment()
    (said,) = bulk(marketer, verb, segment, **values)
    assert said.startswith("Nothing was done.")
    segment.refresh_from_db()
    assert segment.version == 1


def test_a_chain_is_archived_at_once_and_what_is_used_stays(marketer: Client) -> None:
    inner = make_segment(CFO, name="Inner")
    outer = make_segment({"in_segment": "inner"}, name="Outer")
    assert bulk(marketer, "archive", inner) == ["“Inner” is used by: segment “Outer”. Change these first."]
    assert bulk(marketer, "archive", inner, outer) == ["2 segments are in the archive."]
    assert bulk(marketer, "unarchive", inner, outer) == ["2 segments are in use again."]
    assert Segment.objects.in_use().count() == 2


def test_a_broken_rule_does_not_stop_a_move() -> None:
    segment = make_segment(CFO)
    Segment.objects.update(conditions={"field": "contact.custom.gone", "op": "is", "value": "x"})
    segment.refresh_from_db()
    assert change_words([segment], actor=None, now=NOW, reason="", folder="Attic") == 1
