"""Pages of the life-cycle: rules with a look before saving, rates against the benchmark, rights, statements."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads import figures
from leads.access import MARKETER, SALES
from leads.actions import Refused, move_stage
from leads.models import Contact
from scoring import graduation, rates
from scoring.actions.graduation import save_graduation, set_benchmark
from scoring.definition_kinds_graduation import KIND
from scoring.models import Benchmark, GraduationRule
from segments.definitions import BadDefinition
from tests.makers import NOW, make_contact, make_user
from tests.scoring.conftest import VP, beat

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def make_rule(**values: Any) -> GraduationRule:
    given: dict[str, Any] = {
        "name": "Is a VP",
        "to_stage": "mql",
        "from_stages": ["inquiry"],
        "conditions": VP,
        "now": NOW,
    } | values
    return save_graduation(None, **given)


TYPED = {
    "name": "Runs a department",
    "to_stage": "mql",
    "from_stages": ["inquiry"],
    "conditions": '{"field": "contact.title", "op": "contains", "value": "vp"}',
    "is_active": "on",
}


def test_saving_is_a_decision_with_numbers(marketer: Client) -> None:
    vera = make_contact(first_name="Vera", last_name="Vogel", title="VP")
    make_contact(title="Clerk")
    address = reverse("scoring:graduation-new")
    assert marketer.get(address).status_code == 200
    sheet = marketer.post(address, TYPED | {"step": "review"}).content.decode()
    assert "Move the 1 person by the next turn" in sheet
    assert "Vera Vogel" in sheet
    assert "Whoever moves becomes a lead" in sheet
    assert not GraduationRule.objects.exists()
    assert marketer.post(address, TYPED | {"step": "save"}).status_code == 302
    rule = GraduationRule.objects.get()
    assert (rule.slug, rule.conditions, rule.version) == ("runs-a-department", VP, 1)
    beat(timezone.now())
    assert Contact.objects.get(pk=vera.pk).stage == "mql"
    listed = marketer.get(reverse("scoring:graduation-list")).content.decode()
    assert "Runs a department" in listed


def test_those_who_meet_it_already_are_asked_about(marketer: Client) -> None:
    vera = make_contact(first_name="Vera", title="VP")
    address = reverse("scoring:graduation-new")
    answer = marketer.post(address, TYPED | {"step": "save", "present": "nobody"}, follow=True)
    assert "whoever meets it already stays" in answer.content.decode()
    assert "1 person spared" in answer.content.decode()
    beat(timezone.now(), full=True)
    assert Contact.objects.get(pk=vera.pk).stage == "inquiry"
    rule = GraduationRule.objects.get()
    again = marketer.post(
        reverse("scoring:graduation-edit", args=[rule.slug]), TYPED | {"step": "review", "version": 1}
    ).content.decode()
    assert 'value="nobody" checked' in again


def test_what_does_not_fit_comes_back_with_the_form(marketer: Client) -> None:
    address = reverse("scoring:graduation-new")
    answer = marketer.post(address, TYPED | {"from_stages": ["customer"], "step": "review"})
    assert (answer.status_code, GraduationRule.objects.exists()) == (422, False)
    assert "A rule only moves forward" in answer.content.decode()
    assert marketer.post(address, TYPED | {"points": "5", "step": "review"}).status_code == 422


def test_two_editors_are_told_apart(marketer: Client) -> None:
    rule = make_rule()
    make_rule_again: dict[str, Any] = {
        "name": "Other",
        "to_stage": "mql",
        "from_stages": ["inquiry"],
        "conditions": VP,
        "now": NOW,
    }
    save_graduation(rule, **make_rule_again)
    answer = marketer.post(
        reverse("scoring:graduation-edit", args=[rule.slug]), TYPED | {"step": "save", "version": rule.version}
    )
    assert answer.status_code == 422
    assert "Somebody else changed this rule meanwhile" in answer.content.decode()


def test_a_rule_is_deleted_and_its_moves_stay(marketer: Client) -> None:
    contact = make_contact(title="VP")
    rule = make_rule()
    beat(NOW)
    marketer.post(reverse("scoring:graduation-delete", args=[rule.slug]))
    assert not GraduationRule.objects.exists()
    assert Contact.objects.get(pk=contact.pk).stage == "mql"
    assert contact.stage_moves.count() == 1


@pytest.mark.parametrize(
    ("name", "args", "is_post"),
    [
        ("graduation-new", [], False),
        ("graduation-edit", ["is-a-vp"], False),
        ("graduation-delete", ["is-a-vp"], True),
        ("benchmark-save", ["won"], True),
    ],
)
def test_only_marketing_changes_rules_and_targets(client: Client, name: str, args: list[str], is_post: bool) -> None:
    make_rule()
    address = reverse(f"scoring:{name}", args=args)
    client.force_login(make_user(SALES))
    assert (client.post(address, {"percent": "20"}) if is_post else client.get(address)).status_code == 403
    assert GraduationRule.objects.count() == 1
    client.force_login(make_user(MARKETER))
    assert (client.post(address, {"percent": "20"}) if is_post else client.get(address)).status_code in (200, 302)


@pytest.mark.parametrize("name", ["graduation-list", "lifecycle", "lifecycle-figures"])
def test_everybody_with_a_role_reads(client: Client, name: str) -> None:
    client.force_login(make_user(""))
    assert client.get(reverse(f"scoring:{name}")).status_code == 403
    client.force_login(make_user(SALES))
    assert client.get(reverse(f"scoring:{name}")).status_code == 200


# --- rates -----------------------------------------------------------------------------------------------------------------


def arrive(at: datetime, *stages: str, source: str = "webinar") -> Contact:
    contact = make_contact(created_at=at, source=source)
    for number, stage in enumerate(stages, start=1):
        when = at + number * timedelta(hours=1)
        move_stage(contact, to=stage, actor=None, cause="import", reason="", now=when, by_hand=True)
    return contact


def test_rates_stand_beside_the_target_and_the_own_average() -> None:
    january, march = datetime(2026, 1, 10, tzinfo=BERLIN), datetime(2026, 3, 1, 9, tzinfo=BERLIN)
    early: list[list[str]] = [[], [], ["mql"], ["mql", "accepted", "customer"]]
    late: list[list[str]] = [[], ["mql", "accepted"], ["mql"], ["mql"]]
    for stages in early:
        arrive(january, *stages)
    for stages in late:
        arrive(march, *stages, source="fair")
    set_benchmark("mqls", percent=Decimal("60"), actor=None, now=NOW)
    found = rates.rates(rates.counted(now=NOW, zone=BERLIN), now=NOW, zone=BERLIN)
    mqls, accepted, won = found.everybody.rates
    assert (mqls.part, mqls.whole, mqls.percent, mqls.target, mqls.average) == (5, 8, 62.5, Decimal(60), 50.0)
    assert (mqls.verdict, accepted.part, accepted.whole, won.part, won.whole) == ("even", 2, 5, 1, 2)
    assert [(row.name, row.rates[0].percent, row.rates[0].verdict) for row in found.months] == [
        ("2026-01", 50.0, "below"),
        ("2026-03", 75.0, "above"),
    ]
    assert {row.name: row.rates[0].percent for row in found.sources} == {"webinar": 50.0, "fair": 75.0}


def test_the_numbers_open_exactly_their_people(marketer: Client) -> None:
    now = timezone.now()
    mql = arrive(now - 2 * DAY, "mql")
    arrive(now - DAY)
    page = marketer.get(reverse("scoring:lifecycle")).content.decode()
    assert "1 of 2" in page
    people = reverse("scoring:report-people")
    listed = marketer.get(people, {"months": "13", "source": "webinar", "step": "mqls"}).content.decode()
    assert f"/contacts/{mql.pk}/" in listed


def test_home_shows_the_rates(marketer: Client) -> None:
    arrive(timezone.now() - DAY, "mql")
    assert "100.0 %" in marketer.get(reverse("scoring:lifecycle-figures")).content.decode()
    assert reverse("scoring:lifecycle-figures") in marketer.get("/").content.decode()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company at which figures are kept."""
    monkeypatch.setattr(figures, "FRESH_UP_TO", -1)
    cache.clear()


def passes(statements: CaptureQueriesContext) -> int:
    """Statements that pass over the moves, hand-offs or scores of everybody."""
    signs = ("GROUPING SETS", "percentile_cont", "SELECT grade, ", "unnest(h.rule_keys)")
    return sum(any(sign in one["sql"] for sign in signs) for one in statements)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("page", "target", "asked"),
    [("lifecycle", "lifecycle-tables", 2), ("report", "report-tables", 3), ("model-detail", "model-figures", 2)],
)
def test_a_large_companys_figures_are_kept_and_say_as_of_when(
    marketer: Client, page: str, target: str, asked: int
) -> None:
    arrive(timezone.now() - DAY, "mql")
    address = reverse(f"scoring:{page}", args=["default"] if page == "model-detail" else [])
    part = {"HX-Request": "true", "HX-Target": target}
    with CaptureQueriesContext(connection) as statements:
        waiting = marketer.get(address).content.decode()
    assert (passes(statements), "being worked out" in waiting, f'hx-target="#{target}"' in waiting) == (0, True, True)
    for expected in (asked, 0):
        with CaptureQueriesContext(connection) as statements:
            tables = marketer.get(address, headers=part).content.decode()
        assert (passes(statements), tables.count(f'id="{target}"'), "As of " in tables) == (expected, 1, True)
    arrive(timezone.now() - DAY)
    with CaptureQueriesContext(connection) as statements:
        kept = marketer.get(address).content.decode()
    assert (passes(statements), "As of " in kept, "being worked out" in kept) == (0, True, False)
    assert "Newer figures come" not in kept


@pytest.mark.usefixtures("large")
def test_stale_figures_stand_while_newer_ones_are_worked_out() -> None:
    now = timezone.now()
    nine = now + 9 * figures.FRESH_FOR
    first, second = (figures.figures("x", at.isoformat, now=at, wait=True) for at in (now, nine))
    assert (first and first.value, second and second.value) == (now.isoformat(), nine.isoformat())
    later = now + 20 * figures.FRESH_FOR
    shown = figures.figures("x", later.isoformat, now=later, wait=False)
    assert shown and (shown.value, shown.is_stale(later)) == (nine.isoformat(), True)
    cache.add("figures:x:at-work", 1)
    assert figures.figures("x", later.isoformat, now=later, wait=True) == shown  # somebody else works them out
    assert figures.figures("y", later.isoformat, now=later, wait=False) is None


@pytest.mark.parametrize("people", [1, 3])
def test_the_page_asks_as_much_whatever_the_people(marketer: Client, people: int) -> None:
    for number in range(people):
        arrive(timezone.now() - 40 * number * DAY, "mql", source=f"source {number}")
    marketer.get(reverse("scoring:lifecycle"))
    with CaptureQueriesContext(connection) as statements:
        marketer.get(reverse("scoring:lifecycle"))
    assert len(statements) <= 12


def test_an_empty_instance_says_what_comes(marketer: Client) -> None:
    assert "Nobody came in" in marketer.get(reverse("scoring:lifecycle")).content.decode()
    assert "No rule yet" in marketer.get(reverse("scoring:graduation-list")).content.decode()


@pytest.mark.parametrize("percent", [Decimal(0), Decimal(101), Decimal("NaN")])
def test_a_target_is_a_percentage(percent: Decimal) -> None:
    with pytest.raises(Refused):
        set_benchmark("won", percent=percent, actor=None, now=NOW)
    with pytest.raises(Refused):
        set_benchmark("luck", percent=Decimal(5), actor=None, now=NOW)
    set_benchmark("won", percent=Decimal(5), actor=None, now=NOW)
    set_benchmark("won", percent=None, actor=None, now=NOW)
    assert not Benchmark.objects.exists()


def test_the_contact_page_tells_how_long_each_stage_lasted(marketer: Client) -> None:
    now = timezone.now()
    contact = arrive(now - 30 * DAY)
    for days, stage in ((20, "mql"), (5, "accepted")):
        move_stage(contact, to=stage, actor=None, cause="rule:ripe", reason="Ripe", now=now - days * DAY, by_hand=True)
    page = marketer.get(reverse("leads:contact-detail", args=[contact.pk]), {"panels": "all"}).content.decode()
    assert "5 days so far" in page
    assert "15 days" in page
    assert "10 days" in page
    assert "by the rule ripe · Ripe" in page


# --- definitions -------------------------------------------------------------------------------------------------------------


def test_a_rule_goes_out_and_comes_back() -> None:
    make_rule(from_stages=["subscriber", "inquiry", "recycled"])
    before = list(KIND.export(False))
    GraduationRule.objects.all().delete()
    KIND.apply(before[0][1], None, NOW)
    assert list(KIND.export(False)) == before
    version = GraduationRule.objects.get().version
    KIND.apply(before[0][1], None, NOW)
    assert GraduationRule.objects.get().version == version


def test_a_definition_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadDefinition):
        KIND.prepare({"slug": "x", "name": "X", "to": "recycled"}, NOW)
    with pytest.raises(BadDefinition):
        KIND.apply({"slug": "x", "name": "X", "to": "mql", "points_of": "nothing", "points": 5}, None, NOW)


def test_the_usual_stages_are_those_of_the_line_before_it() -> None:
    assert graduation.usual_from("mql") == ["visitor", "subscriber", "inquiry"]
    assert set(graduation.may_leave("mql")) == {"visitor", "subscriber", "inquiry", "recycled", "lost"}
