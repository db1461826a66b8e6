"""Another slug: every stored rule that names the segment follows, in all rooms, and nobody joins or leaves."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from nurture.models import Program, ProgramVersion
from scoring.models import Rule, ScoreModel, ScoreVersion
from segments import graph, turn
from segments.actions import SegmentRefused, save_segment
from segments.models import Membership, Persona, Segment, SegmentVersion
from segments.renaming import Rename, rename_segment
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = pytest.mark.django_db

CFO = {"field": "contact.title", "op": "contains", "value": "chiefs"}
MEMBER = {"in_segment": "chiefs"}


def test_rules_of_every_room_follow() -> None:
    make_contact(title="Chiefs")
    chiefs = make_segment(CFO, name="Chiefs")
    outer = make_segment({"all": [CFO, {"not": MEMBER}]}, name="Outer")
    save_segment(outer, name="Outer", conditions={"any": [MEMBER, CFO]}, actor=None, now=NOW)
    Persona.objects.create(slug="cfo", name="CFO", conditions=MEMBER, status="agreed")
    model = ScoreModel.objects.create(slug="second", name="Second")
    version = ScoreVersion.objects.create(model=model, number=1, state=ScoreVersion.State.DRAFT)
    Rule.objects.create(version=version, group="fit", name="Chiefs", points=10, conditions=MEMBER)
    program = Program.objects.create(slug="welcome", name="Welcome")
    steps: list[dict[str, Any]] = [
        {"id": "s1", "kind": "branch", "conditions": MEMBER, "yes": [{"id": "s2", "kind": "add_to_segment", "segment": "chiefs"}], "no": []},
    ]  # fmt: skip
    ProgramVersion.objects.create(program=program, number=1, tree={"steps": steps})
    turn.turn(NOW)
    before = list(Membership.objects.order_by("pk").values_list("segment", "contact", "since", "until"))

    renamed = rename_segment(chiefs, slug="the-chiefs", actor=None, now=NOW)

    assert (renamed.slug, renamed.documents) == ("the-chiefs", 4)
    wanted = {"in_segment": "the-chiefs"}
    assert Segment.objects.get(pk=outer.pk).conditions == {"any": [wanted, CFO]}
    assert [version.conditions for version in SegmentVersion.objects.filter(segment=outer)] == [
        {"any": [wanted, CFO]}, {"all": [CFO, {"not": wanted}]},
    ]  # fmt: skip
    assert (Persona.objects.get().conditions, Rule.objects.get().conditions) == (wanted, wanted)
    (branch,) = ProgramVersion.objects.get().tree["steps"]
    assert (branch["conditions"], branch["yes"][0]["segment"]) == (wanted, "the-chiefs")
    assert {user.label for user in graph.used_by("segment:the-chiefs")} == {"Outer", "CFO", "Second", "Welcome"}
    assert graph.used_by("segment:chiefs") == []
    assert turn.turn(NOW, full=True).changes == 0
    assert list(Membership.objects.order_by("pk").values_list("segment", "contact", "since", "until")) == before


@pytest.mark.parametrize("slug", ["", "with space", "new", "other", "x" * 101, "über"])
def test_a_slug_that_cannot_be_is_refused(slug: str) -> None:
    make_segment(CFO, name="Other")
    segment = make_segment(CFO, name="Chiefs")
    with pytest.raises(SegmentRefused):
        rename_segment(segment, slug=slug, actor=None, now=NOW)
    segment.refresh_from_db()
    assert segment.slug == "chiefs"


def test_only_the_very_slug_is_renamed() -> None:
    rename = Rename("chiefs", "x")
    text = {"field": "contact.title", "op": "is", "value": "chiefs"}
    document = {"all": [text, {"in_persona": "chiefs"}, {"in_segment": "chiefs-2"}, {"not": {"any": []}}]}
    assert rename.document(document) is document
    assert rename.document({"not": MEMBER}) == {"not": {"in_segment": "x"}}


def test_from_the_page(client: Client) -> None:
    client.force_login(make_user())
    make_segment(CFO, name="Chiefs"), make_segment(MEMBER, name="Outer")
    answer = client.post(reverse("segments:segment-rename", args=["chiefs"]), {"slug": "bosses"}, follow=True)
    assert answer.redirect_chain[-1][0] == "/segments/bosses/"
    assert [str(message) for message in answer.context["messages"]] == ["The slug is “bosses” now; 1 rule followed."]
    answer = client.post(reverse("segments:segment-rename", args=["bosses"]), {"slug": "outer"}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == [
        "There is a segment with the slug “outer” already."
    ]
