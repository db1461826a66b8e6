"""From a file of leads to a mail and an answer of sales, by clicks, with the workers' own tasks in between and a real SMTP server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from leads.access import MARKETER, SALES
from leads.models import Contact, Deal, ImportJob
from leads.tasks import run_due_imports
from leads.workspace import workspace
from nurture.models import Enrolment, Program, Sending, Template
from nurture.tasks import run_publications, send_due, turn_once
from scoring.models import HandOff, LedgerRow, Score
from scoring.queries import ledger_sums_hold
from segments.models import Segment
from tests.browser.conftest import PATIENCE_MS, SignIn
from tests.nurture.sink import sink as smtp_sink

pytestmark = pytest.mark.browser

LEADS = """mql_id,first_contact_date,landing_page_id,origin,email
l1,2018-02-01,p1,paid_search,ada@leads.test
l2,2018-02-02,p1,paid_search,bob@leads.test
l3,2018-02-03,p2,social,cem@leads.test
l4,2018-13-45,p2,paid_search,dan@leads.test
"""
DEALS = """mql_id,seller_id,won_date,business_segment
l1,s1,2018-03-01 19:58:54,pet
l3,s2,2018-03-02 20:17:59,car
l9,s3,2018-03-03 10:00:00,car
"""


def work() -> None:
    """What the workers do in a second of the running product."""
    run_due_imports()
    run_publications()
    turn_once()
    send_due()


def import_file(page: Page, path: Path, kind: str) -> None:
    """Upload, take the guesses of the columns, see the preview, start, see the report."""
    page.goto("/imports/new/")
    page.locator("input[type=file]").set_input_files(path)
    page.locator(f"input[name=kind][value={kind}]").check(force=True)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Every row is being tried")).to_be_visible()
    run_due_imports()
    page.locator("form[action$='/start/'] button").click()
    run_due_imports()
    expect(page.get_by_text("Done:")).to_be_visible()


def add_condition(page: Page, words: str, value: str = "") -> None:
    """A row of the builder: a few letters of the field, then of the value."""
    builder = page.locator("conditions-builder")
    before = builder.locator("[data-node]").count()
    builder.locator("[data-do=add]").last.click()
    page.get_by_role("combobox", name="Search fields").fill(words)
    page.keyboard.press("Enter")
    expect(builder.locator("[data-node]")).not_to_have_count(before)
    if value:
        page.get_by_role("combobox", name="Value of").last.fill(value)
        page.get_by_role("option", name=value).click()


def people(page: Page) -> str:
    return page.locator("conditions-builder [data-summary]:not(.is-old) [data-number-of-people]").inner_text()


def wait_for_answers(number: int) -> None:
    """The board answers without leaving the page: look at what is stored."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while (found := HandOff.objects.exclude(answered_at=None).count()) < number:
        assert time.monotonic() < until, f"{found} of {number} answers were stored"
        time.sleep(0.05)
    assert found == number


@pytest.mark.django_db(transaction=True)
def test_the_main_job_from_a_file_to_a_mail_and_an_answer(
    page: Page, sign_in: SignIn, tmp_path: Path, settings: Settings
) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"
    home = workspace()
    home.sender_email, home.postal_address = "letter@ripen.test", "Lane 1, Town"
    home.save()
    (tmp_path / "leads.csv").write_text(LEADS)
    (tmp_path / "deals.csv").write_text(DEALS)
    sign_in(MARKETER)

    # 1. Leads come in; the row with an impossible date is rejected and can be fetched with its reason.
    import_file(page, tmp_path / "leads.csv", "contacts")
    job = ImportJob.objects.get()
    assert (job.created, job.updated, job.unchanged, job.rejected) == (3, 0, 0, 1)
    with page.expect_download() as rejects:
        page.locator("a[href$='rejects.csv']").first.click()
    assert "2018-13-45" in Path(rejects.value.path()).read_text(encoding="utf-8-sig")

    # 2. Their deals follow; nobody knows l9. The same file again changes nothing.
    for round_ in (1, 2):
        import_file(page, tmp_path / "deals.csv", "deals")
        job = ImportJob.objects.latest("pk")
        assert (job.created, job.unchanged, job.rejected) == ((2, 0, 1) if round_ == 1 else (0, 2, 1))
    assert Deal.objects.filter(status="won").count() == 2

    # 3. A segment: origin is paid_search and has a won deal.
    page.goto("/segments/new/")
    page.get_by_label("Name").fill("Bought after searching")
    add_condition(page, "source", "paid_search")
    add_condition(page, "deal won")
    expect(page.locator("conditions-builder [data-summary]:not(.is-old) [data-number-of-people]")).to_have_text("1")
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator("#review-joining")).to_have_text("+1")
    page.get_by_role("button", name="Save").click()
    work()
    page.reload()
    expect(page.get_by_text("l1").or_(page.get_by_text("ada@leads.test")).first).to_be_visible()
    assert Segment.objects.get(name="Bought after searching").member_count == 1

    # 4. A score rule in the draft, published with a reason; the points are rows of the ledger.
    page.goto("/scoring/default/draft/rules/new/")
    page.get_by_label("Name").fill("Came by paid search")
    page.get_by_label("Points*").fill("80")
    add_condition(page, "source", "paid_search")
    page.get_by_role("button", name="Save in the draft").click()
    page.get_by_role("link", name="See what publishing does").click()
    expect(page.locator("#publish-difference")).to_contain_text("2")
    page.get_by_label("Why").fill("First rule")
    page.get_by_role("button", name="Publish").click()
    work()
    assert sorted(Score.objects.values_list("contact__external_id", "total")) == [("l1", 80), ("l2", 80), ("l3", 0)]
    assert LedgerRow.objects.count() == 2
    assert ledger_sums_hold()

    # 5. A program for the segment: a mail, a wait.
    page.goto("/programs/templates/new/")
    page.get_by_label("Name*").fill("Thanks")
    page.get_by_label("Subject").fill("Thank you, {{ contact.first_name | default: 'friend' }}")
    page.get_by_text("Format and layout").click()
    page.get_by_label("HTML").check()
    page.locator("[name=body]").fill("<p>Hello {{ contact.first_name | default: 'friend' }}</p>")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thanks")
    page.goto("/programs/new/")
    page.get_by_label("Name").fill("After the purchase")
    page.get_by_label("Who enters").select_option(str(Segment.objects.get().pk))
    page.locator("input[name=pattern][value=empty]").check(force=True)
    page.get_by_role("button", name="Open the canvas").click()
    page.get_by_role("link", name="Add a step here").last.click()
    page.locator("button[name=kind][value=send_email]").click()
    page.locator("#program-panel select").first.select_option(Template.objects.get().slug)
    page.locator("#program-panel").get_by_role("button", name="Save").click()
    expect(page.locator("#program-panel").get_by_text("Saved")).to_be_visible()
    page.get_by_role("link", name="Start …").click()
    page.locator("input[name=intake][value=all]").check(force=True)
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        page.get_by_role("button", name="Start").click()
        work()
        work()
    assert sink.recipients == ["ada@leads.test"]
    assert sink.messages[0]["Subject"] == "Thank you, friend"
    assert Sending.objects.get().state == Sending.State.SENT
    assert Program.objects.get().state == Program.State.LIVE
    assert Enrolment.objects.get().contact.external_id == "l1"

    # 6. Sales finds the ripe ones with the reason, accepts one, rejects the other.
    page.context.clear_cookies()
    sign_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    expect(page.get_by_text("Came by paid search").first).to_be_visible()
    expect(page.locator("details[data-answer=reject]")).to_have_count(1)
    page.keyboard.press("a")
    wait_for_answers(1)
    page.goto("/scoring/queue/?tab=all")
    page.keyboard.press("r")
    page.locator("details[data-answer=reject] input[name=reason]").first.check()
    page.locator("details[data-answer=reject] button[type=submit]").click()
    wait_for_answers(2)
    assert sorted(HandOff.objects.values_list("state", flat=True)) == ["accepted", "rejected"]

    # 7. A rejected lead is not handed over again for the same reasons.
    turn_once()
    assert HandOff.objects.open().count() == 0
    assert set(Contact.objects.filter(external_id__in=["l1", "l2"]).values_list("stage", flat=True)) == {
        "accepted",
        HandOff.objects.get(state="rejected").contact.stage,
    }
