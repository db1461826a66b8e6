"""The webhook step and its outbox: signed bytes, one key for all tries, given up in the end, tried again by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from leads.access import ADMIN, SALES
from leads.models import Contact
from nurture import actions, engine, outside, queries, turn, webhooks
from nurture.kinds import KINDS, Names
from nurture.models import Enrolment, WebhookCall
from tests.makers import NOW, make_company, make_contact, make_user
from tests.nurture.makers import make_people, make_program, put_in, segment_of, step, trace, wait
from tests.nurture.receiver import answering, receiver

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/in?x=1"
MINUTE = timedelta(minutes=1)


def call_for(*people: Contact, url: str = URL) -> list[WebhookCall]:
    program = make_program(step("webhook", "w", url=url), wait(1), intake="new")
    put_in(segment_of(program), people)
    turn.turn(NOW)
    return list(WebhookCall.objects.order_by("pk"))


def says(*answers: outside.Answer) -> webhooks.Post:
    """A receiver that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def post(_url: str, _data: bytes, _headers: dict[str, str]) -> outside.Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return post


def fine(*_args: Any) -> outside.Answer:
    return outside.Answer(200, "ok")


def test_a_step_leaves_one_call_whose_bytes_never_change() -> None:
    company = make_company("Acme")
    person = make_contact(first_name="Vera", company=company)
    (call,) = call_for(person)
    assert trace(person) == [("w", "done")]
    told = json.loads(call.body)
    assert told["id"] == str(call.token)
    assert (told["step"], told["visit"]) == ("w", 2)
    assert (told["contact"]["first_name"], told["company"]["name"], told["owner"]) == ("Vera", "Acme", None)
    Enrolment.objects.update(step="w", visit=2, next_step_at=NOW)
    Enrolment.objects.get().visits.filter(step="w").delete()
    engine.run_due(NOW)
    assert WebhookCall.objects.get().body == call.body


def test_a_real_receiver_can_tell_that_the_call_is_ours(settings: Settings) -> None:
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    with receiver(answering(201, "made")) as found:
        (call,) = call_for(make_contact(), url=found.url)
        assert webhooks.send_due(NOW, seconds=60.0) == webhooks.Report(sent=1)
        assert webhooks.send_due(NOW + MINUTE, seconds=60.0) == webhooks.Report()
    (heard,) = found.heard
    assert heard.headers["Content-Type"] == "application/json; charset=utf-8"
    moment, _comma, sent = heard.headers["Ripen-Signature"].partition(",v1=")
    secret = webhooks.secret_of(f"http://127.0.0.1:{found.port}")
    wanted = hmac.new(secret.encode(), moment.removeprefix("t=").encode() + b"." + heard.body, hashlib.sha256)
    assert sent == wanted.hexdigest()
    assert secret != webhooks.secret_of("http://127.0.0.1:1")
    call.refresh_from_db()
    assert (call.state, call.status, call.answer, heard.body.decode()) == ("sent", 201, "made", call.body)


def test_failing_calls_are_tried_again_with_one_key_and_given_up_in_the_end(settings: Settings, client: Client) -> None:
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    with receiver(answering(500, "no")) as found:
        (call,) = call_for(make_contact(), url=found.url)
        moment = NOW
        for minutes in (*webhooks.BACK_OFF, 0):
            webhooks.send_due(moment, seconds=60.0)
            assert webhooks.send_due(moment, seconds=60.0) == webhooks.Report()
            moment += timedelta(minutes=minutes)
        call.refresh_from_db()
        assert (call.state, call.status, call.tries, call.problem) == ("failed", 500, 8, "The receiver answered 500.")
        assert webhooks.send_due(moment + timedelta(days=30), seconds=60.0) == webhooks.Report()
        assert queries.holds("webhooks_say_why")
        client.force_login(make_user())
        found.behave = answering(200)
        client.post(reverse("nurture:webhook-retry", args=[call.pk]))
        assert webhooks.send_due(WebhookCall.objects.get().due_at, seconds=60.0) == webhooks.Report(sent=1)
    assert found.keys == [str(call.token)] * 9
    assert len({one.body for one in found.heard}) == 1


@pytest.mark.parametrize(
    ("answer", "state", "after"),
    [
        (outside.Answer(404, "?"), "failed", None),
        (outside.Answer(302, "It redirects"), "failed", None),
        (outside.Answer(429, "", 600), "queued", 10 * MINUTE),
        (outside.Answer(503, "", 99_999_999), "queued", timedelta(days=1)),
        (outside.Answer(503, "", 1), "queued", MINUTE),
        (outside.Answer(None, "gone", None, True), "queued", MINUTE),
    ],
)
def test_what_becomes_of_an_answer(answer: outside.Answer, state: str, after: timedelta | None) -> None:
    (call,) = call_for(make_contact())
    webhooks.send_due(NOW, seconds=60.0, post=says(answer))
    call.refresh_from_db()
    assert call.state == state
    assert call.problem
    if after is not None:
        assert call.due_at == NOW + after


def test_an_inner_address_is_refused_at_the_moment_of_the_call() -> None:
    def post(_url: str, _data: bytes, _headers: dict[str, str]) -> outside.Answer:
        raise outside.Refused("inside")

    (call,) = call_for(make_contact())
    assert webhooks.send_due(NOW, seconds=60.0, post=post) == webhooks.Report(failed=1)
    call.refresh_from_db()
    assert (call.state, call.status, call.problem) == ("failed", None, "inside")


def test_a_receiver_that_cannot_be_reached_rests_and_holds_nobody_up() -> None:
    call_for(*make_people(5), url="https://down.example.com")
    call_for(*make_people(2), url="https://up.example.com")
    asked = []

    def post(url: str, _data: bytes, _headers: dict[str, str]) -> outside.Answer:
        asked.append(url)
        return outside.Answer(None, "down", None, True) if "down" in url else outside.Answer(200, "ok")

    assert webhooks.send_due(NOW, seconds=60.0, post=post) == webhooks.Report(sent=2, again=1, put_back=4)
    assert sorted(asked) == ["https://down.example.com"] + ["https://up.example.com"] * 2
    down = WebhookCall.objects.filter(origin="https://down.example.com:443")
    assert sorted(down.values_list("tries", "due_at")) == [(0, NOW + MINUTE)] * 4 + [(1, NOW + MINUTE)]


def test_a_worker_that_died_leaves_a_lease_and_the_call_is_made_again() -> None:
    keys: list[str] = []

    def dies(_url: str, _data: bytes, headers: dict[str, str]) -> outside.Answer:
        keys.append(headers["Idempotency-Key"])
        raise SystemExit

    call_for(make_contact())
    with pytest.raises(SystemExit):
        webhooks.send_due(NOW, seconds=60.0, post=dies)
    assert WebhookCall.objects.get().state == "sending"
    assert webhooks.send_due(NOW + MINUTE, seconds=60.0, post=fine) == webhooks.Report()
    assert webhooks.send_due(NOW + webhooks.LEASE, seconds=60.0, post=fine) == webhooks.Report(sent=1)
    assert keys == [str(WebhookCall.objects.get().token)]


def test_what_a_late_worker_heard_changes_nothing() -> None:
    def late(_url: str, _data: bytes, _headers: dict[str, str]) -> outside.Answer:
        return outside.Answer(500, "no")

    (call,) = call_for(make_contact())
    (claimed,) = webhooks._claim(NOW)
    webhooks.send_due(NOW + webhooks.LEASE, seconds=60.0, post=fine)
    webhooks._record(claimed, late("", b"", {}), NOW, webhooks.Report())
    call.refresh_from_db()
    assert (call.state, call.status) == ("sent", 200)


def test_an_address_that_cannot_work_blocks_and_an_open_one_warns() -> None:
    urls = ["", "http://10.0.0.1/x", "https://a:b@example.com", "http://example.com/x", URL]
    program = make_program(*(step("webhook", f"w{n}", url=url) for n, url in enumerate(urls)), live=False)
    found = [(problem.step, problem.blocks) for problem in actions.problems_of(program.versions.get(), Names())]
    assert found == [("w0", True), ("w1", True), ("w2", True), ("w3", False)]
    form = KINDS["webhook"].form({"url": "http://127.0.0.1/"}, names=Names())
    assert list(form.errors) == ["url"]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_pages_show_status_and_secret_to_whom_they_may(
    rows: int, client: Client, django_assert_num_queries: Any
) -> None:
    calls = call_for(*make_people(rows))
    webhooks.send_due(NOW, seconds=60.0, post=says(outside.Answer(404, "<b>nothing</b> here")))
    client.force_login(make_user(SALES))
    client.get(reverse("nurture:webhook-list"))
    with django_assert_num_queries(6):
        page = client.get(reverse("nurture:webhook-list"), {"state": "failed"})
    assert len(page.context["rows"]) == rows
    assert page.content.decode().count("The receiver answered 404.") == rows
    detail = reverse("nurture:webhook-detail", args=[calls[0].pk])
    shown = client.get(detail).content.decode()
    assert "&lt;b&gt;nothing&lt;/b&gt; here" in shown
    assert "whsec_" not in shown
    assert client.post(reverse("nurture:webhooks-retry")).status_code == 403
    client.force_login(make_user(ADMIN))
    assert "whsec_" in client.get(detail).content.decode()
    client.post(reverse("nurture:webhooks-retry"))
    assert set(WebhookCall.objects.values_list("state", "tries")) == {("queued", 0)}
