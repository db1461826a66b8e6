"""Mail to our own people: one for all that is due, once, not about what was answered meanwhile, again after a refusal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from leads.access import SALES
from nurture.mailing import notices
from scoring import actions
from scoring.models import HandOff, Notice, NoticeWish, ScoreModel
from tests.makers import NOW, make_owner, make_user
from tests.nurture.sink import sink as smtp_sink
from tests.scoring.conftest import beat, make_model
from tests.scoring.test_hand_offs import make_ripe, visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads(db: None) -> list[HandOff]:
    """Two leads of Anna's, who wants mail at once."""
    model: ScoreModel = make_model()
    user = make_user(SALES, username="anna")
    NoticeWish.objects.create(user=user, by_mail="at_once")
    owner = make_owner("Anna", user=user)
    for name in ("Vera", "Ben"):
        visit(make_ripe(first_name=name, owner=owner))
    beat(NOW, full=True)
    assert model.pk
    return list(HandOff.objects.order_by("pk"))


def test_one_mail_for_all_that_is_due(leads: list[HandOff], settings: Settings) -> None:
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        assert notices.send_due(NOW) == 1
        assert notices.send_due(NOW + timedelta(hours=1)) == 0
    assert sink.recipients == ["anna@ripen.test"]
    assert sink.messages[0]["Subject"] == "2 leads wait for you"
    body = sink.messages[0].get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert f"/scoring/queue/{leads[0].pk}/" in text
    assert "lifted it from 0 to 80 points" in text
    assert set(Notice.objects.values_list("mail", "mailed_at")) == {("sent", NOW)}


def test_what_was_answered_meanwhile_needs_no_mail(leads: list[HandOff], settings: Settings) -> None:
    for lead in leads:
        actions.accept_lead(lead, actor=make_user(SALES), now=NOW)
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        assert notices.send_due(NOW) == 0
    assert sink.recipients == []
    assert set(Notice.objects.values_list("mail", flat=True)) == {"none"}


def test_without_a_server_notices_stay_in_the_bell(leads: list[HandOff], settings: Settings) -> None:
    settings.EMAIL_URL = ""
    assert notices.send_due(NOW) == 0
    assert set(Notice.objects.values_list("mail", flat=True)) == {"kept"}


def test_a_server_that_is_down_is_asked_again(leads: list[HandOff], settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://127.0.0.1:9"
    assert notices.send_due(NOW) == 0
    assert set(Notice.objects.values_list("mail", "mail_due_at")) == {("waiting", NOW + notices.REST)}
    assert Notice.objects.exclude(problem="").count() == 2


def test_a_bad_address_is_told(leads: list[HandOff], settings: Settings) -> None:
    user = leads[0].owner and leads[0].owner.user
    assert user is not None
    user.email = "anna@ripen.test\nBcc: eve@x.test"
    user.save()
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        assert notices.send_due(NOW) == 0
    assert set(Notice.objects.values_list("mail", flat=True)) == {"failed"}
