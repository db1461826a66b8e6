"""Home by role, search over all rooms, the light switch, sign-in and the pages for what goes wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.utils import timezone
from django.views.defaults import server_error

from config import home
from config.celery import app
from leads.access import ADMIN, MARKETER, SALES
from leads.models import ImportJob, Mark, StageMove
from segments.models import Membership, Segment
from tests.makers import make_company, make_contact, make_owner, make_user

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
STATIC = Path(__file__).resolve().parents[2] / "static"


# --- Home ------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "parts"), [(SALES, {"sales"}), (MARKETER, {"marketer"}), (ADMIN, {"admin"})])
def test_home_shows_the_parts_of_the_role(client: Client, role: str, parts: set[str]) -> None:
    client.force_login(make_user(role))
    response = client.get("/")
    assert response.status_code == 200
    assert {part for part in ("sales", "marketer", "admin") if part in response.context} == parts


@pytest.mark.django_db
@pytest.mark.parametrize("role", [SALES, MARKETER, ADMIN])
def test_home_takes_few_statements(client: Client, role: str, django_assert_max_num_queries: object) -> None:
    client.force_login(make_user(role))
    for _ in range(3):
        make_contact()
    with django_assert_max_num_queries(17):  # type: ignore[operator]
        client.get("/")


@pytest.mark.django_db
def test_the_months_numbers_open_as_many_people(client: Client) -> None:
    client.force_login(make_user(MARKETER))
    now = timezone.now()
    moved, moved_twice, _idle = make_contact(created_at=now), make_contact(created_at=now), make_contact()
    for contact in (moved, moved_twice, moved_twice):
        StageMove.objects.create(contact=contact, moved_at=now, from_stage="inquiry", to_stage="mql", cause="import")
    month = client.get("/").context["marketer"]
    mql = month["arrived"][0]
    assert (mql.stage, mql.people, month["new_contacts"]) == ("mql", 2, 2)
    assert client.get("/contacts/", {"arrived": mql.link}).context["count"].number == 2
    assert client.get("/contacts/", {"recorded": month["month"].isoformat()}).context["count"].number == 2


@pytest.mark.django_db
def test_segments_that_changed_most_come_first() -> None:
    now = timezone.now()
    quiet = Segment.objects.create(slug="quiet", name="Quiet", mode="fixed")
    busy = Segment.objects.create(slug="busy", name="Busy", mode="fixed")
    Segment.objects.create(slug="still", name="Still", mode="fixed")
    for segment, stays in ((quiet, 1), (busy, 3)):
        for _ in range(stays):
            Membership.objects.create(segment=segment, contact=make_contact(), since=now, why="by_hand")
    Membership.objects.create(
        segment=busy, contact=make_contact(), since=now - timedelta(days=30), until=now, why="by_hand"
    )
    changed = home.marketer(now)["segments"]
    assert [(segment.slug, segment.joined, segment.left) for segment in changed] == [("busy", 3, 1), ("quiet", 1, 0)]


@pytest.mark.django_db
def test_sales_without_an_owner_are_told(client: Client) -> None:
    user = make_user(SALES)
    client.force_login(user)
    assert "not linked to an owner" in client.get("/").content.decode()
    make_owner(user=user)
    assert "not linked to an owner" not in client.get("/").content.decode()


@pytest.mark.django_db
def test_health_tells_late_beats_waiting_marks_and_refused_imports(client: Client) -> None:
    client.force_login(make_user(ADMIN))
    now = timezone.now()
    ImportJob.objects.create(
        kind="contacts", state="refused", file_name="leads.csv", stored_as="x", format="csv", message="No header"
    )
    Mark.objects.create(contact_id=1, facet=1, since=now - timedelta(minutes=10))
    tasks = sorted({entry["task"] for entry in app.conf.beat_schedule.values()})
    cache.delete_many([f"beat:{task}" for task in tasks])
    told = client.get("/").context["admin"]
    assert (told["marks"], told["marks_are_well"]) == (1, False)
    assert [job.file_name for job in told["failed_imports"]] == ["leads.csv"]
    assert sorted((beat.name, beat.is_well, beat.ago_in_words) for beat in told["beats"]) == [
        (task, False, "never yet") for task in tasks
    ]


@pytest.mark.parametrize(
    ("ago", "failed", "well"), [(3.0, False, True), (3.0, True, False), (29.0, False, True), (31.0, False, False)]
)
def test_a_beat_is_well_when_recent_and_whole(ago: float, failed: bool, well: bool) -> None:
    assert home.Beat("nurture.turn", 1.0, ago, 0.1, failed).is_well is well


# --- Search ----------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_search_finds_in_every_room(client: Client) -> None:
    client.force_login(make_user(SALES))
    company = make_company("Acme Works")
    make_contact(first_name="Anna", last_name="Acme")
    Segment.objects.create(slug="acme", name="ACME people", mode="fixed")
    response = client.get("/search/", {"q": "acme"})
    found = {
        key: [str(one) for one in response.context[key]] for key in ("contacts", "companies", "segments", "personas")
    }
    assert found == {
        "contacts": ["Anna Acme"],
        "companies": [str(company)],
        "segments": ["ACME people"],
        "personas": [],
    }
    fragment = client.get("/search/", {"q": "acme"}, headers={"HX-Request": "true"}).content.decode()
    assert "Anna Acme" in fragment
    assert "<html" not in fragment


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "   ", "%", "\\", "zzz", "\x00", "x" * 5000])
def test_search_bears_any_text(client: Client, text: str) -> None:
    client.force_login(make_user(SALES))
    assert client.get("/search/", {"q": text}).status_code == 200


# --- Light and dark ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_switch_works_without_script(client: Client) -> None:
    client.force_login(make_user(SALES))
    assert 'data-bs-theme="light"' in client.get("/").content.decode()
    response = client.post("/theme/", {"next": "/contacts/?q=a"})
    assert response["Location"] == "/contacts/?q=a"
    assert 'data-bs-theme="dark"' in client.get("/").content.decode()
    client.post("/theme/")
    assert 'data-bs-theme="light"' in client.get("/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test", "javascript:alert(1)", ""])
def test_the_switch_leads_nowhere_else(client: Client, elsewhere: str) -> None:
    assert client.post("/theme/", {"next": elsewhere})["Location"] == "/"


@pytest.mark.django_db
def test_a_forged_theme_is_light(client: Client) -> None:
    client.cookies["ripen_theme"] = '"><script>'
    assert 'data-bs-theme="light"' in client.get("/login/").content.decode()


# --- Signing in --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_signing_in_and_out(client: Client) -> None:
    make_user(SALES, username="sam", password="a-long-password-1")
    assert client.get("/contacts/")["Location"] == "/login/?next=/contacts/"
    form = {"username": "sam", "password": "a-long-password-1", "next": "/contacts/"}
    assert client.post("/login/", form)["Location"] == "/contacts/"
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/contacts/").status_code == 302


@pytest.mark.django_db
def test_ten_wrong_tries_lock_and_say_so(client: Client) -> None:
    make_user(SALES, username="sam", password="a-long-password-1")
    form = {"username": "sam", "password": "wrong"}
    for _ in range(9):
        assert client.post("/login/", form).status_code == 200
    locked = client.post("/login/", form)
    assert locked.status_code == 429
    assert "Too many wrong tries" in locked.content.decode()
    assert client.post("/login/", form | {"password": "a-long-password-1"}).status_code == 429


# --- What goes wrong, and what holds for every page -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_not_found_and_refused_say_what_to_do(client: Client) -> None:
    client.force_login(make_user(SALES))
    missing = client.get("/nowhere/")
    refused = client.get("/settings/")
    assert (missing.status_code, refused.status_code) == (404, 403)
    assert "Nothing is here" in missing.content.decode()
    assert "An admin can change roles" in refused.content.decode()


def test_the_page_of_a_broken_server_needs_no_database() -> None:
    """Without the mark django_db a statement would fail the test."""
    response = server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    assert "Something broke here" in response.content.decode()


@pytest.mark.django_db
def test_pages_carry_a_strict_policy(client: Client) -> None:
    client.force_login(make_user(ADMIN))
    policy = client.get("/")["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_no_template_or_script_needs_a_loose_policy() -> None:
    """No inline style, script or handler in any page (mails have styles of their own); no eval in our scripts."""
    import re

    loose = re.compile(
        r"<style|\sstyle=|\son[a-z]+=[\"']|\shx-on|<script(?![^>]*\bsrc=)[^>]*>|javascript:", re.IGNORECASE
    )
    pages = [path for path in TEMPLATES.rglob("*.html") if "emails" not in path.parts]
    found = {str(path.relative_to(TEMPLATES)): loose.findall(path.read_text()) for path in pages}
    found = {path: hits for path, hits in found.items() if [hit for hit in hits if "application/json" not in hit]}
    assert found == {}
    scripts = {path.name for path in STATIC.rglob("*.js") if re.search(r"\beval\(|new Function", path.read_text())}
    assert scripts == set()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        (SALES, ["/scoring/queue/", "/contacts/"], ["/settings/", "/imports/"]),
        (MARKETER, ["/imports/", "/contacts/"], ["/settings/"]),
        (ADMIN, ["/settings/", "/imports/"], []),
    ],
)
def test_navigation_shows_what_the_role_may(client: Client, role: str, shown: list[str], hidden: list[str]) -> None:
    client.force_login(make_user(role))
    page = client.get("/companies/").content.decode()
    navigation = page[page.index('id="navigation"') : page.index("</aside>")]
    assert [address for address in shown if f'href="{address}"' not in navigation] == []
    assert [address for address in hidden if f'href="{address}"' in navigation] == []
    assert navigation.count('aria-current="page"') == 1
