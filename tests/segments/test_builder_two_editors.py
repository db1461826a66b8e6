"""Two people write the same rule: the second is told, sees what is stored, keeps what was typed, and may save it then."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.access import MARKETER
from nurture import actions as nurture_actions
from nurture.models import ProgramVersion
from scoring.models import Rule
from segments.models import Persona, Segment
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import make_program, step
from tests.scoring.conftest import make_draft

pytestmark = pytest.mark.django_db


def city(name: str) -> dict[str, Any]:
    return {"field": "contact.city", "op": "is", "value": name}


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER), backend="django.contrib.auth.backends.ModelBackend")
    return client


def typed(answer: Any) -> Any:
    """The rule as it stands in the form that came back."""
    text = answer.context["form"]["conditions"].value()
    return json.loads(text) if isinstance(text, str) else text


def test_in_a_segment(marketer: Client) -> None:
    segment = make_segment(city("Ulm"), name="People")
    url = reverse("segments:segment-edit", args=[segment.slug])
    sent = {"name": "People", "step": "save", "version": segment.version, "is_meant": "yes"}
    assert marketer.post(url, {**sent, "conditions": json.dumps(city("Bonn"))}).status_code == 302
    told = marketer.post(url, {**sent, "conditions": json.dumps(city("Kiel"))})
    assert (told.status_code, typed(told)) == (409, city("Kiel"))
    assert "Bonn" in told.text
    again = marketer.post(
        url, {**sent, "version": told.context["form"]["version"].value(), "conditions": json.dumps(city("Kiel"))}
    )
    assert again.status_code == 302
    assert Segment.objects.get().conditions == city("Kiel")


def test_in_a_persona(marketer: Client) -> None:
    persona = Persona.objects.create(slug="cfo", name="CFO", conditions=city("Ulm"))
    url = reverse("segments:persona-edit", args=[persona.slug])
    sent = {"name": "CFO", "role": "", "status": persona.status, "version": persona.version}
    assert marketer.post(url, {**sent, "conditions": json.dumps(city("Bonn"))}).status_code == 302
    told = marketer.post(url, {**sent, "conditions": json.dumps(city("Kiel"))})
    assert (told.status_code, typed(told)) == (409, city("Kiel"))
    assert "Bonn" in told.text


def test_in_a_rule_of_a_score(marketer: Client) -> None:
    draft = make_draft()
    rule = draft.rules.get(name="Is a VP")
    url = reverse("scoring:rule-edit", args=[draft.model.slug, rule.key])
    sent = {"name": "Is a VP", "group": "fit", "points": "40", "edit_number": draft.edit_number}
    assert marketer.post(url, {**sent, "conditions": json.dumps(city("Bonn"))}).status_code == 302
    told = marketer.post(url, {**sent, "name": "Mine", "conditions": json.dumps(city("Kiel"))})
    assert (told.status_code, typed(told)) == (422, city("Kiel"))
    assert "Stored is now “Is a VP”, 40 points" in told.text
    assert "Bonn" in told.text
    number = told.context["form"]["edit_number"].value()
    again = marketer.post(url, {**sent, "name": "Mine", "edit_number": number, "conditions": json.dumps(city("Kiel"))})
    assert again.status_code == 302
    assert Rule.objects.get(pk=rule.pk).name == "Mine"
    assert Rule.objects.get(pk=rule.pk).conditions == city("Kiel")


def test_in_a_branch_of_a_program(marketer: Client) -> None:
    program = make_program(step("branch", "b", conditions=city("Ulm"), yes=[], no=[]))
    draft = nurture_actions.start_draft(program, actor=None, now=NOW)
    url = reverse("nurture:step-detail", args=[program.slug, "b"])
    sent = {"edit_number": draft.edit_number}
    saved = marketer.post(url, {**sent, "conditions": json.dumps(city("Bonn"))}, headers={"HX-Request": "true"})
    assert "Bonn" in saved.text
    told = marketer.post(url, {**sent, "conditions": json.dumps(city("Kiel"))}, headers={"HX-Request": "true"})
    assert typed(told) == city("Kiel")
    assert re.search(r"unsaved; saving again puts it in.*Bonn", told.text)
    number = re.search(r'name="edit_number" value="(\d+)"', told.text)
    assert number
    marketer.post(url, {"edit_number": number[1], "conditions": json.dumps(city("Kiel"))})
    assert ProgramVersion.objects.get(pk=draft.pk).tree["steps"][0]["conditions"] == city("Kiel")
