"""Steps that tell a colleague: whom, in which words, once, in the bell and by mail."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from leads.access import SALES
from leads.models import Contact
from nurture import actions, engine, turn
from nurture.kinds import KINDS, Names
from nurture.mailing import notices
from nurture.models import Enrolment
from scoring.models import Notice, NoticeWish
from tests.makers import NOW, make_contact, make_owner, make_user
from tests.nurture.makers import make_program, put_in, segment_of, step, trace, wait
from tests.nurture.sink import sink as smtp_sink

pytestmark = pytest.mark.django_db
TEXT = "{{ contact.first_name }} of {{ company.name | default: 'nowhere' }} read it all"


def run(*people: Contact, **values: Any) -> None:
    program = make_program(step("notify", "n", **{"text": TEXT, **values}), wait(1), intake="new")
    put_in(segment_of(program), people)
    turn.turn(NOW)


def told() -> list[tuple[str, str]]:
    return sorted(Notice.objects.values_list("user__username", "words"))


@pytest.fixture
def anna(db: None) -> User:
    return make_user(SALES, username="anna")


def test_tells_the_owner_and_counts_whom_nobody_hears_of(anna: User) -> None:
    owned = make_contact(first_name="Vera", owner=make_owner("Anna", user=anna))
    of_a_name = make_contact(first_name="Ben", owner=make_owner("Only a name"))
    run(owned, of_a_name, make_contact())
    assert told() == [("anna", "Vera of nowhere read it all")]
    assert trace(owned) == [("n", "done")]
    assert trace(of_a_name) == [("n", "nobody")]


def test_tells_everybody_of_a_team_who_may_sign_in(anna: User) -> None:
    gone = make_user(SALES, username="gone")
    for user in (anna, make_user(SALES, username="bert"), gone):
        owner = make_owner(user.username, user=user)
        owner.team = "North"
        owner.save()
    User.objects.filter(pk=gone.pk).update(is_active=False)
    run(make_contact(first_name="Vera"), whom="team", team="North")
    assert told() == [("anna", "Vera of nowhere read it all"), ("bert", "Vera of nowhere read it all")]


def test_told_once_however_often_the_step_is_tried(anna: User) -> None:
    run(make_contact(), whom="user", user="anna")
    Enrolment.objects.update(step="n", visit=2, next_step_at=NOW)
    Enrolment.objects.get().visits.filter(step="n").delete()
    engine.run_due(NOW)
    assert Notice.objects.count() == 1


def test_comes_by_mail_and_leads_to_the_contact(anna: User, client: Client, settings: Settings) -> None:
    NoticeWish.objects.create(user=anna, by_mail="at_once")
    person = make_contact(first_name="Vera", last_name="Lind")
    run(person, whom="user", user="anna")
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        assert notices.send_due(NOW) == 1
    assert sink.messages[0]["Subject"] == "Vera of nowhere read it all"
    body = sink.messages[0].get_body(("plain",))
    assert body is not None
    assert reverse("leads:contact-detail", args=[person.pk]) in body.get_content()
    client.force_login(anna)
    assert "Vera of nowhere read it all" in client.get(reverse("scoring:notice-bell")).content.decode()
    assert "Vera of nowhere read it all" in client.get(reverse("scoring:notice-list")).content.decode()
    notice = Notice.objects.get()
    answer = client.post(reverse("scoring:notice-read", args=[notice.pk]))
    assert answer["Location"] == reverse("leads:contact-detail", args=[person.pk])
    notice.refresh_from_db()
    assert notice.read_at is not None


def test_what_cannot_be_told_blocks_the_start() -> None:
    make_user(SALES, username="anna")
    steps = [
        step("notify", "silent", whom="user", user="anna"),
        step("notify", "nobody", whom="user", user="gone", text="x"),
        step("notify", "empty", whom="team", team="South", text="x"),
        step("notify", "torn", text="{{ contact.first_name"),
        step("notify", "misspelt", text="{{ contact.frist_name }}"),
    ]
    program = make_program(*steps, live=False)
    found = [(problem.step, problem.blocks) for problem in actions.problems_of(program.versions.get(), Names())]
    assert found == [("silent", True), ("nobody", True), ("empty", True), ("torn", True), ("misspelt", False)]


def test_the_form_keeps_only_whom_it_names() -> None:
    make_user(SALES, username="anna")
    form = KINDS["notify"].form({"whom": "owner", "user": "anna", "text": "x"}, names=Names())
    assert form.is_valid(), form.errors
    assert form.values() == {"whom": "owner", "text": "x"}
    torn = KINDS["notify"].form({"whom": "user", "text": "{{ x"}, names=Names())
    assert sorted(torn.errors) == ["text", "user"]
