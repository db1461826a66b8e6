"""A segment that a rule asks for goes out of use: refused while something live or a draft reads it, told wherever an old version comes back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from scoring import actions
from scoring.models import ScoreVersion
from segments.actions import InUse, archive_segment, unarchive_segment
from segments.models import Segment
from tests.makers import NOW, make_segment, make_user
from tests.scoring.conftest import VP, beat, make_model
from tests.scoring.test_hand_offs import DAY, HOUR

pytestmark = pytest.mark.django_db
IN_IT = {"in_segment": "bosses"}


@pytest.fixture
def segment(db: None) -> Segment:
    return make_segment(VP, name="Bosses")


@pytest.fixture
def restored(segment: Segment) -> ScoreVersion:
    """The first version asked for the segment; the live one does not; a draft brings the first one back after it was archived."""
    model = make_model(rules=(("fit", "In Bosses", 40, IN_IT),))
    first = model.versions.get(number=1)
    draft = actions.draft_of(model, now=NOW + HOUR)
    actions.delete_rule(draft, key=draft.rules.get().key, now=NOW + HOUR)
    actions.save_rule(draft, group="fit", name="Is a VP", conditions=VP, points=Decimal(40), now=NOW + HOUR)
    actions.publish(draft, reason="Without it", now=NOW + HOUR)
    beat(NOW + HOUR)
    archive_segment(segment, actor=None, now=NOW + DAY)
    return actions.restore(first, now=NOW + DAY)


def test_a_segment_that_a_rule_asks_for_is_not_archived(segment: Segment) -> None:
    model = make_model(rules=(("fit", "In Bosses", 40, IN_IT),))
    with pytest.raises(InUse, match="Product"):
        archive_segment(segment, actor=None, now=NOW)
    draft = actions.draft_of(model, now=NOW)
    actions.delete_rule(draft, key=draft.rules.get().key, now=NOW)
    with pytest.raises(InUse, match="Product"):  # the live version still asks
        archive_segment(segment, actor=None, now=NOW)


def test_a_draft_that_asks_for_an_archived_segment_is_not_published(restored: ScoreVersion, client: Client) -> None:
    client.force_login(make_user())
    slug = restored.model.slug
    page = client.get(reverse("scoring:model-draft", args=[slug])).content.decode()
    assert "segment “bosses” is in the archive" in page
    sheet = client.get(reverse("scoring:publish-difference", args=[slug])).content.decode()
    assert "This draft cannot be published" in sheet and "segment “bosses” is in the archive" in sheet
    with pytest.raises(actions.Refused, match="Rule “In Bosses”: segment “bosses” is in the archive"):
        actions.publish(restored, reason="Back", now=NOW + DAY)
    assert restored.model.versions.get(state="live").number == 2
    unarchive_segment(Segment.objects.get(), actor=None, now=NOW + DAY)
    actions.publish(restored, reason="Back", now=NOW + DAY)


def test_a_draft_whose_hand_off_condition_asks_for_it_is_not_published_either(restored: ScoreVersion) -> None:
    restored.rules.all().delete()
    ScoreVersion.objects.filter(pk=restored.pk).update(hand_off_conditions=IN_IT)
    with pytest.raises(actions.Refused, match="Hand-off condition: segment “bosses” is in the archive"):
        actions.publish(restored, reason="Back", now=NOW + DAY)


def test_a_live_rule_whose_segment_went_out_of_use_says_so_beside_the_rule(segment: Segment, client: Client) -> None:
    """No page lets it come to this; a database that was put together by hand may."""
    model = make_model(rules=(("fit", "In Bosses", 40, IN_IT),))
    Segment.objects.filter(pk=segment.pk).update(archived_at=NOW, updated_at=NOW + HOUR)
    client.force_login(make_user())
    page = client.get(reverse("scoring:model-detail", args=[model.slug])).content.decode()
    assert "segment “bosses” is in the archive" in page
