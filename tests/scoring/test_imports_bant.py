"""BANT in files of contacts: columns become facts of the CRM, once; a bad cell rejects the row; a trial stores nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from leads import intake
from leads.importing.mapping import exact_target
from leads.intake import Circumstances, Outcome, Row
from leads.models import Contact, Mark
from leads.queries_intake import shadow
from scoring.actions.bant import NewFact, record_bant
from scoring.imports_bant import Cell
from scoring.models import BantFact
from scoring.queries.bant import bant_of
from tests.makers import NOW, make_contact, make_user

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def take(*values: dict[str, Any], now: datetime = NOW, **more: Any) -> Outcome:
    rows = [Row(line, value) for line, value in enumerate(values, start=1)]
    return intake.take("contacts", rows, Circumstances(now=now, **more))


def numbers(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.created, outcome.updated, outcome.unchanged, len(outcome.rejected)


def test_a_file_brings_bant_and_says_nothing_new_the_second_time(tmp_path: Path) -> None:
    soon = (timezone.now() + 60 * DAY).date()
    rows = (
        "id,Spend,bant.authority,BANT need,bant.timeframe,bant.known_at\n"
        f'c1,"40,000.50",Economic buyer,clear,{soon},{(timezone.now() - DAY).date()}\n'
        "c2,no,influences,,none,\n"
        "c3,a lot,,,,\n"
        "c4,,boss,,,\n"
        "c5,,,,2001-01-01,\n"
        "c6,,,,,\n"
    )
    file, mapping = tmp_path / "crm.csv", tmp_path / "m.json"
    file.write_text(rows)
    mapping.write_text(
        json.dumps(
            {
                "columns": {"id": "external_id", "Spend": "bant.budget"},
                "values": {"bant.authority": {"Economic buyer": "decides"}},
            }
        )
    )

    def load(*options: str) -> dict[str, Any]:
        out = StringIO()
        call_command("load", "contacts", str(file), "--mapping", str(mapping), *options, stdout=out)
        printed: dict[str, Any] = json.loads(out.getvalue())
        return printed

    tried = load("--dry-run")
    assert [tried[key] for key in ("created", "updated", "unchanged", "rejected")] == [3, 0, 0, 3]
    assert not BantFact.objects.exists()
    first = load()
    assert [first[key] for key in ("created", "updated", "unchanged", "rejected")] == [3, 0, 0, 3]
    rejects = Path(first["rejects_file"]).read_text()
    assert "“boss” is not one of decides, influences, none, unknown" in rejects
    assert "bant.timeframe: Choose a day that is still to come" in rejects
    contact = Contact.objects.get(external_id="c1")
    found = bant_of([contact.pk], at=timezone.now())[contact.pk]
    assert {facet: (fact.answer, fact.amount, fact.due_on, fact.source) for facet, fact in found.items()} == {
        "budget": ("yes", Decimal("40000.50"), None, "crm"),
        "authority": ("decides", None, None, "crm"),
        "need": ("clear", None, None, "crm"),
        "timeframe": ("dated", None, soon, "crm"),
    }
    assert found["budget"].known_at.date() == (timezone.now() - DAY).date()
    facts = BantFact.objects.count()
    second = load()
    assert [second[key] for key in ("created", "updated", "unchanged", "rejected")] == [0, 0, 3, 3]
    assert BantFact.objects.count() == facts


def test_a_row_of_which_only_bant_is_news_counts_as_updated_and_marks() -> None:
    user, contact = make_user(), make_contact(external_id="c1")
    make_contact(external_id="c2")
    Mark.objects.all().delete()
    rows = ({"external_id": "c1", "bant.need": Cell("urgent")}, {"external_id": "c2"})
    assert numbers(take(*rows, actor_id=user.pk)) == (0, 1, 1, 0)
    fact = BantFact.objects.get()
    assert (fact.contact, fact.source, fact.recorded_by, fact.known_at) == (contact, "crm", user, NOW)
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.DEFINITION)]
    assert numbers(take(*rows)) == (0, 0, 2, 0)


def test_the_same_answer_again_does_not_talk_over_sales() -> None:
    contact = make_contact(external_id="c1")
    take({"external_id": "c1", "bant.budget": Cell("yes")})
    record_bant([NewFact(contact.pk, "budget", "no")], source="call", now=NOW + DAY)
    take({"external_id": "c1", "bant.budget": Cell("yes")}, now=NOW + 2 * DAY)
    assert bant_of([contact.pk], at=NOW + 2 * DAY)[contact.pk]["budget"].answer == "no"
    take({"external_id": "c1", "bant.budget": Cell("yes", Decimal(500))}, now=NOW + 3 * DAY)
    assert bant_of([contact.pk], at=NOW + 3 * DAY)[contact.pk]["budget"].amount == 500


def test_an_older_row_is_no_news_and_the_last_row_of_a_file_counts() -> None:
    contact = make_contact(external_id="c1")
    take(
        {"external_id": "c1", "bant.need": Cell("vague"), "bant.known_at": NOW - 2 * DAY},
        {"external_id": "c1", "bant.need": Cell("clear"), "bant.known_at": NOW - DAY},
        {"external_id": "c1", "bant.need": Cell("none"), "bant.known_at": NOW - 3 * DAY},
    )
    assert bant_of([contact.pk], at=NOW)[contact.pk]["need"].answer == "clear"
    assert BantFact.objects.count() == 2


def test_a_trial_says_what_would_be_and_stores_nothing() -> None:
    make_contact(external_id="c1")
    with shadow() as tried:
        outcome = take({"external_id": "c1", "bant.need": Cell("clear")}, shadow=tried)
    assert numbers(outcome) == (0, 1, 0, 0)
    assert not BantFact.objects.exists()


@pytest.mark.parametrize(
    ("name", "target"),
    [("bant.budget", "bant.budget"), ("BANT Budget", "bant.budget"), ("bant_need", "bant.need"), ("bant.shoe", None)],
)
def test_columns_that_bear_the_name_are_mapped_by_themselves(name: str, target: str | None) -> None:
    assert exact_target("contacts", name, []) == target
