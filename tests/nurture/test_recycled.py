"""A lead recycled into a program: the turn takes the wish up once, at the live version."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leads.access import SALES
from nurture import recycled
from nurture.models import Enrolment, Program, ProgramVersion
from nurture.tree import empty
from scoring import actions
from scoring.models import AnswerReason, HandOff
from tests.makers import NOW, make_user
from tests.scoring.conftest import beat, make_model
from tests.scoring.test_hand_offs import make_ripe, visit

pytestmark = pytest.mark.django_db


def test_a_recycled_lead_enters_the_program_once() -> None:
    make_model()
    program = Program.objects.create(
        name="Win back", slug="win-back", state=Program.State.LIVE, created_at=NOW, updated_at=NOW
    )
    ProgramVersion.objects.create(program=program, number=1, state=ProgramVersion.State.LIVE, tree=empty())
    contact = make_ripe()
    visit(contact)
    beat(NOW, full=True)
    assert recycled.choices() == [("win-back", "Win back")]
    lead, user = HandOff.objects.get(), make_user(SALES)
    reason = AnswerReason.objects.get(pk="needs-nurture")
    actions.recycle_lead(lead, reason=reason, actor=user, now=NOW, program="win-back")
    assert beat(NOW + timedelta(seconds=1)).followed["recycled"] == 1
    enrolment = Enrolment.objects.get()
    assert (enrolment.contact, enrolment.program, enrolment.entered_why) == (contact, program, "recycled")
    lead.refresh_from_db()
    assert lead.program_entered_at == NOW + timedelta(seconds=1)
    assert recycled.follow([contact.pk], NOW + timedelta(hours=1)) == 0
