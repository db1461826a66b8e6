"""The library of patterns: each is a program of few steps that could start at once but for whom it takes in."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from leads.models import Workspace
from nurture import actions, tree, turn
from nurture.kinds import Names
from nurture.models import Program, Sending, Template
from nurture.patterns import PATTERNS
from nurture.templating.placeholders import context_for
from nurture.templating.rendering import compile_source, unknown_placeholders
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import make_people, publish, put_in, segment_of, trace

pytestmark = pytest.mark.django_db
MOST = 10  # steps: start simple
LINK = "https://ripen.test/u/1/"


def create(key: str) -> Program:
    return actions.create_from_pattern(
        PATTERNS[key], name=f"My {key}", trigger_segment=make_segment(), notes="", actor=None, now=NOW
    )


@pytest.mark.parametrize("key", PATTERNS)
def test_every_pattern_is_a_program_that_could_start(key: str) -> None:
    pattern = PATTERNS[key]
    assert tree.to_document(tree.check(pattern.document)) == pattern.document
    assert pattern.step_total <= MOST
    program = create(key)
    draft = program.versions.get()
    assert draft.around == pattern.around
    assert draft.past_edits == []
    sent = [str(step.values.get("template")) for step in tree.check(draft.tree).walk() if step.kind == "send_email"]
    if pattern.letters:
        assert sorted(sent) == sorted(Template.objects.values_list("slug", flat=True))
        assert not any(problem.blocks for problem in actions.problems_of(draft, Names(), NOW))
    assert len(sent) == len(pattern.letters) or key == "simple"


@pytest.mark.parametrize("key", [key for key, pattern in PATTERNS.items() if pattern.letters])
def test_every_letter_can_be_sent_to_anybody(key: str) -> None:
    for letter in PATTERNS[key].letters:
        compiled = compile_source("mjml", letter.subject, letter.preheader, letter.body())
        assert unknown_placeholders(compiled) == []
        mail = compiled.fill(context_for(None, workspace=Workspace(name="Home"), unsubscribe_url=LINK))
        assert mail.html.count(LINK) == 1
        assert "{{" not in mail.subject + mail.html
        assert mail.subject.strip()


def test_a_new_program_opens_as_three_steps_and_a_pattern_brings_its_mails(client: Client) -> None:
    client.force_login(make_user())
    page = client.get(reverse("nurture:program-new"))
    assert page.context["chosen"] == "simple"
    assert PATTERNS["simple"].step_total == 3
    assert page.content.decode().count('name="pattern"') == len(PATTERNS)
    answer = client.post(reverse("nurture:program-new"), {"name": "Hello", "pattern": "welcome"})
    assert answer.status_code == 302
    assert sorted(Template.objects.values_list("name", flat=True)) == [
        "Hello: Welcome 1: what you can expect",
        "Hello: Welcome 2: one question",
    ]
    shown = client.get(answer["Location"]).content.decode()
    assert "leads to example.com: say where on your own site." in shown
    again = client.post(reverse("nurture:program-new"), {"name": "Hello", "pattern": "welcome"})
    assert again["Location"] != answer["Location"]
    assert client.post(reverse("nurture:program-new"), {"name": "Hello", "pattern": "none"}).status_code == 422


def test_a_pattern_runs() -> None:
    program = create("welcome")
    publish(program, intake="new")
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    turn.turn(NOW)
    assert trace(person) == [("welcome", "done")]
    assert Sending.objects.get().template.name == "My welcome: Welcome 1: what you can expect"
