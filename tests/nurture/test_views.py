"""Pages by role, the canvas edited as a browser does it, numbers that open lists with exactly as many rows."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads import figures
from leads.access import ADMIN, MARKETER, SALES
from nurture import actions
from nurture.mailing import sending
from nurture.models import Enrolment, Program, Sending, Task, Template
from nurture.queries_triggers import Present
from nurture.triggers import TRIGGERS
from tests.makers import NOW, make_contact, make_segment, make_user
from tests.nurture.makers import (
    mail,
    make_people,
    make_program,
    make_template,
    make_walk,
    only_enrolment,
    publish,
    put_in,
    segment_of,
    step,
    wait,
    walk,
    work_publications,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def marketer() -> Client:
    return signed_in(MARKETER)


def build() -> Program:
    branch = step("branch", "b", conditions={"field": "contact.title", "op": "is_known"}, yes=[step("end", "e")], no=[])
    program, people = make_walk(
        mail(step_id="m"), wait(3, "days", "w"), branch, step("create_task", "c", title="Call"), people=3
    )
    walk()
    sending.send_due(NOW)
    Enrolment.objects.filter(contact=people[0]).update(state="parked", next_step_at=None, problem="Broken on purpose")
    Sending.objects.filter(contact=people[1]).update(state="uncertain", why_not="worker_died")
    Task.objects.create(contact=people[0], title="Call", created_at=NOW)
    return program


PAGES = {
    "program-list": ([], "see"),
    "program-detail": (["slug"], "see"),
    "program-counts": (["slug"], "see"),
    "program-people": (["slug"], "see"),
    "sending-list": ([], "see"),
    "sending-detail": (["sending"], "see"),
    "sending-body": (["sending"], "see"),
    "template-list": ([], "see"),
    "template-edit": (["template"], "see"),
    "task-list": ([], "see"),
    "trigger-list": (["slug"], "see"),
    "trigger-new": (["slug"], "edit_rules"),
    "around-edit": (["slug"], "see"),
    "program-result": (["slug"], "see"),
    "program-new": ([], "edit_rules"),
    "program-settings": (["slug"], "edit_rules"),
    "template-new": ([], "edit_rules"),
    "step-new": (["slug"], "edit_rules"),
    "program-publish": (["slug"], "publish"),
    "publication-state": (["slug"], "see"),
    "publication-list": (["slug"], "see"),
    "budget-edit": ([], "publish"),
    "health": ([], "configure"),
    "health-checks": ([], "configure"),
}
POSTS = {
    "program-draft": "edit_rules",
    "program-discard": "edit_rules",
    "program-pause": "publish",
    "program-resume": "publish",
    "queue-hold": "publish",
    "queue-drop": "publish",
    "program-stop": "publish",
    "program-archive": "edit_rules",
    "program-unarchive": "edit_rules",
    "program-retry": "publish",
    "program-publish": "publish",
    "trigger-new": "edit_rules",
    "around-edit": "edit_rules",
    "step-new": "edit_rules",
}


def addresses(program: Program) -> dict[str, str]:
    actions.start_draft(program, actor=None, now=NOW)
    values: dict[str, str | int] = {
        "slug": program.slug,
        "sending": Sending.objects.exclude(html="").earliest("pk").pk,
        "template": Template.objects.earliest("pk").slug,
    }
    return {
        name: reverse(f"nurture:{name}", args=[values[part] for part in parts])
        for name, (parts, _right) in PAGES.items()
    }


@pytest.mark.parametrize("role", [MARKETER, SALES, ADMIN, ""])
def test_who_sees_what(role: str) -> None:
    from leads.access import MAY

    found = addresses(build())
    client = signed_in(role)
    answers = {name: client.get(url).status_code for name, url in found.items()}
    assert answers == {name: 200 if role in MAY[right] else 403 for name, (_parts, right) in PAGES.items()}


def test_nobody_sees_anything_without_signing_in() -> None:
    for url in addresses(build()).values():
        assert Client().get(url).status_code == 302


@pytest.mark.parametrize("name", POSTS)
def test_sales_changes_no_program(name: str) -> None:
    program = build()
    draft = actions.start_draft(program, actor=None, now=NOW)
    before = (program.state, draft.tree, draft.edit_number)
    url = reverse(f"nurture:{name}", args=[program.slug])
    assert (
        signed_in(SALES).post(url, {"kind": "end", "at": "start", "edit_number": draft.edit_number}).status_code == 403
    )
    program.refresh_from_db()
    draft.refresh_from_db()
    assert (program.state, draft.tree, draft.edit_number) == before


def test_every_number_opens_a_list_with_as_many_rows(marketer: Client) -> None:
    program = build()
    page = marketer.get(reverse("nurture:program-detail", args=[program.slug])).content.decode()
    links = re.findall(r'href="([^"]*people/\?[^"]*)"[^>]*>(?:<i[^>]*></i>)?\s*([\d,]+)', page)
    assert len(links) > 8
    for link, number in links:
        rows = marketer.get(link.replace("&amp;", "&")).content.decode()
        shown = re.search(r"([\d,]+) (?:person|people)\b", rows[rows.index("card-header") :])
        assert shown is not None
        assert (link, shown.group(1)) == (link, number)


def test_a_program_built_and_started_in_the_browser(marketer: Client) -> None:
    segment, template = make_segment(name="Leads"), make_template(name="Hello")
    (person,) = make_people(1)
    put_in(segment, [person])
    answer = marketer.post(reverse("nurture:program-new"), {"name": "My program", "pattern": "empty"})
    program = Program.objects.get(name="My program")
    assert answer.headers["Location"] == reverse("nurture:program-detail", args=[program.slug])
    draft = program.versions.get()
    publish_url = reverse("nurture:program-publish", args=[program.slug])
    assert "Nobody enters" in marketer.get(publish_url).content.decode()

    def post(name: str, *args: str, **data: object) -> str:
        draft.refresh_from_db()
        url = reverse(f"nurture:{name}", args=[program.slug, *args])
        answer = marketer.post(url, {"edit_number": draft.edit_number, **data}, headers=HTMX)
        assert answer.status_code == 200
        draft.refresh_from_db()
        return answer.content.decode()

    assert "the segment whose members" in post("trigger-new", kind="segment")
    post("trigger-edit", "t1", segment=segment.slug)
    assert draft.triggers == [{"id": "t1", "kind": "segment", "segment": segment.slug}]
    panel = post("step-new", at="start", kind="send_email")
    assert 'hx-swap-oob="true"' in panel
    mail_id = draft.tree["steps"][0]["id"]
    assert "no template" in post("step-detail", mail_id, template="")
    post("step-detail", mail_id, template=template.slug)
    post("step-new", at=mail_id, kind="branch")
    branch_id = draft.tree["steps"][1]["id"]
    post("step-detail", branch_id, conditions='{"field": "contact.title", "op": "is_known"}')
    post("step-new", at=f"{branch_id}.no", kind="wait")
    wait_id = draft.tree["steps"][1]["no"][0]["id"]
    post("step-detail", wait_id, mode="for", value=2, unit="days")
    post("step-new", at="start", kind="end")
    extra = draft.tree["steps"][0]["id"]
    post("step-move", extra, by="down")
    assert [node["kind"] for node in draft.tree["steps"]] == ["send_email", "end", "branch"]
    post("step-delete", extra)
    assert draft.tree["steps"][1]["no"] == [{"id": wait_id, "kind": "wait", "for": {"value": 2, "unit": "days"}}]
    sheet = marketer.get(publish_url).content.decode()
    assert "What will happen" in sheet
    marketer.post(publish_url, {"edit_number": draft.edit_number, "intake": "all"})
    work_publications(NOW)
    program.refresh_from_db()
    assert program.state == "live"
    from nurture.turn import turn

    turn(NOW + timedelta(minutes=1))
    assert only_enrolment(person).step == wait_id


def test_a_wrong_step_form_says_so_inside_the_panel(marketer: Client) -> None:
    program = make_program(step("wait", "w"), live=False)
    url = reverse("nurture:step-detail", args=[program.slug, "w"])
    answer = marketer.post(url, {"edit_number": 1, "mode": "for", "value": ""}, headers=HTMX)
    assert answer.status_code == 422
    assert "Say how long." in answer.content.decode()
    assert program.versions.get().edit_number == 1


def test_two_editors_at_once(marketer: Client) -> None:
    program = make_program(wait(1, "days", "w"), live=False)
    url = reverse("nurture:step-detail", args=[program.slug, "w"])
    assert marketer.post(url, {"edit_number": 1, "mode": "for", "value": 2, "unit": "days"}).status_code == 302
    second = marketer.post(url, {"edit_number": 1, "mode": "for", "value": 9, "unit": "days"}, headers=HTMX)
    assert "Somebody else changed this" in second.content.decode()
    assert program.versions.get().tree["steps"][0]["for"]["value"] == 2


def test_a_step_deleted_elsewhere(marketer: Client) -> None:
    program = make_program(wait(1, "days", "w"), live=False)
    url = reverse("nurture:step-detail", args=[program.slug, "gone"])
    assert marketer.get(url).status_code == 404
    answer = marketer.post(url, {"edit_number": 1, "mode": "for", "value": 2, "unit": "days"}, headers=HTMX)
    assert "gone" in answer.content.decode()


def test_edits_without_javascript(marketer: Client) -> None:
    program = make_program(live=False)
    answer = marketer.post(
        reverse("nurture:step-new", args=[program.slug]), {"edit_number": 1, "at": "start", "kind": "end"}
    )
    assert answer.status_code == 302
    page = marketer.get(answer.headers["Location"]).content.decode()
    assert "<html" in page
    assert "What this end means" in page


def test_the_start_sheet_counts_exactly(marketer: Client) -> None:
    program = make_program(wait(1), live=False)
    segment = segment_of(program)
    put_in(segment, make_people(2), now=NOW - timedelta(days=9))
    put_in(segment, make_people(3), now=NOW)
    url = reverse("nurture:program-publish", args=[program.slug])
    data = {
        "edit_number": 1,
        "intake": "since",
        "since": (NOW - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"),
        "count": "1",
    }
    answer = marketer.post(url, data)
    assert (answer.context["present"], answer.context["present_since"]) == (Present(5, 5), Present(3, 3))
    assert program.versions.get().state == "draft"


def test_what_cannot_work_does_not_start(marketer: Client) -> None:
    program = make_program(step("send_email", "m"), live=False)
    marketer.post(reverse("nurture:program-publish", args=[program.slug]), {"edit_number": 1, "intake": "all"})
    program.refresh_from_db()
    assert program.state == "draft"


def test_switches(marketer: Client) -> None:
    program = build()
    for name, state in (
        ("pause", "paused"),
        ("resume", "live"),
        ("resume", "live"),
        ("stop", "stopped"),
        ("unarchive", "stopped"),
        ("archive", "stopped"),
    ):
        answer = marketer.post(reverse(f"nurture:program-{name}", args=[program.slug]), {"waits": "at_once"})
        assert answer.status_code == 302
        program.refresh_from_db()
        assert program.state == state
    assert program.archived_at is not None
    page = marketer.get(reverse("nurture:program-detail", args=[program.slug])).content.decode()
    assert "In the archive since" in page
    marketer.post(reverse("nurture:program-unarchive", args=[program.slug]))
    program.refresh_from_db()
    assert (program.archived_at, program.state) == (None, "stopped")


def test_publishing_an_edit_tells_who_stays_on_the_old_version(marketer: Client) -> None:
    program = build()
    actions.start_draft(program, actor=None, now=NOW)
    sheet = marketer.get(reverse("nurture:program-publish", args=[program.slug])).content.decode()
    assert "3 people inside" in sheet
    assert "Whoever is left as they are finishes on the version they are in" in sheet
    publish(program, intake="new")
    page = marketer.get(reverse("nurture:program-detail", args=[program.slug])).content.decode()
    assert "3 people are finishing on version 1" in page


def test_retry_and_release(marketer: Client) -> None:
    program = build()
    parked = Enrolment.objects.get(state="parked")
    marketer.post(reverse("nurture:program-retry", args=[program.slug]), {"enrolment": parked.pk})
    parked.refresh_from_db()
    assert parked.state == "active"
    marketer.post(reverse("nurture:person-release", args=[program.slug, parked.pk]))
    parked.refresh_from_db()
    assert (parked.state, parked.ended_why) == ("left", "by_hand")


def test_a_mail_is_shown_under_its_own_policy(marketer: Client) -> None:
    build()
    sent = Sending.objects.filter(state="sent").first()
    assert sent is not None
    answer = marketer.get(reverse("nurture:sending-body", args=[sent.pk]))
    assert answer.content.decode() == sent.html
    assert (
        answer.headers["Content-Security-Policy"]
        == "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https: data: http://localhost:8000"
    )
    page = marketer.get(reverse("nurture:sending-detail", args=[sent.pk]))
    assert "sandbox" in page.content.decode()
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]


def test_deciding_about_an_uncertain_mail(marketer: Client) -> None:
    build()
    sending_row = Sending.objects.get(state="uncertain")
    url = reverse("nurture:sending-decide", args=[sending_row.pk])
    assert signed_in(SALES).post(url, {"decision": "resend"}).status_code == 403
    marketer.post(url, {"decision": "resend"})
    sending_row.refresh_from_db()
    assert sending_row.state == "queued"


@pytest.mark.parametrize(
    ("format", "piece"), [("html", "{{ contact.first_name }}"), ("html", "<p>"), ("mjml", "<mj-text>é")]
)
def test_a_template_of_five_megabytes_is_told_and_nothing_is_lost(marketer: Client, format: str, piece: str) -> None:
    body = piece * (5_000_000 // len(piece.encode()))
    data = {"name": "Huge", "subject": "Hi", "preheader": "", "format": format, "body": body}
    refused = marketer.post(reverse("nurture:template-new"), data)
    assert refused.status_code == 422
    shown = refused.content.decode()
    assert f"The template has {len(body)} characters; 500000 are allowed." in shown
    assert len(shown) > len(body)
    assert not Template.objects.filter(name="Huge").exists()
    assert "are allowed" in marketer.post(reverse("nurture:template-preview"), data).content.decode()


def test_a_form_beyond_all_bounds_gets_a_page_that_says_so(marketer: Client) -> None:
    data = {"name": "Huge", "subject": "Hi", "format": "html", "body": "a" * 9_000_000}
    refused = marketer.post(reverse("nurture:template-new"), data)
    assert refused.status_code == 400
    assert "larger than a form may be" in refused.content.decode()


def test_templates_in_the_browser(marketer: Client) -> None:
    data = {
        "name": "Hello",
        "subject": "Hi {{ contact.first_name }}",
        "preheader": "",
        "format": "html",
        "body": "<p>{{ contact.first_name }}</p>",
    }
    marketer.post(reverse("nurture:template-new"), data)
    template = Template.objects.get(name="Hello")
    url = reverse("nurture:template-edit", args=[template.slug])
    assert marketer.post(url, {**data, "body": "{% if %}", "version": 1}).status_code == 422
    assert marketer.post(url, {**data, "body": "<p>new</p>", "version": 1}).status_code == 302
    stale = marketer.post(url, {**data, "body": "<p>other</p>", "version": 1})
    assert stale.status_code == 422
    assert "Somebody else" in stale.content.decode()
    template.refresh_from_db()
    assert (template.body, template.version) == ("<p>new</p>", 2)
    assert signed_in(SALES).post(url, {**data, "version": 2}).status_code == 403


def test_preview_as_a_contact(marketer: Client) -> None:
    person = make_contact("zoe@x.test", first_name="<Zoe>")
    data = {
        "format": "html",
        "subject": "S {{ contact.first_name }}",
        "body": "<p>Hi {{ contact.first_name }} {{ contact.oops }}</p>",
        "contact": person.email,
    }
    answer = marketer.post(reverse("nurture:template-preview"), data)
    text = answer.content.decode()
    assert "S &lt;Zoe&gt;" in text
    assert "contact.oops" in text
    body = marketer.get(reverse("nurture:template-preview-body", args=[answer.context["preview_key"]]))
    assert "Hi &lt;Zoe&gt;" in body.content.decode()
    assert body.headers["Content-Security-Policy"].startswith("sandbox")
    broken = marketer.post(reverse("nurture:template-preview"), {**data, "format": "mjml"}).content.decode()
    assert "MJML" in broken


def test_a_template_in_use_is_not_archived(marketer: Client) -> None:
    template = make_template()
    make_program(mail(template))
    url = reverse("nurture:template-archive", args=[template.slug])
    marketer.post(url)
    template.refresh_from_db()
    assert template.archived_at is None
    actions.stop(Program.objects.get(), actor=None, now=NOW)
    marketer.post(url)
    template.refresh_from_db()
    assert template.archived_at is not None


def test_tasks(marketer: Client) -> None:
    build()
    task = Task.objects.get()
    assert "Call" in marketer.get(reverse("nurture:task-list") + "?of=all").content.decode()
    answer = marketer.post(reverse("nurture:task-done", args=[task.pk]), {"next": "https://evil.test/"})
    assert answer.headers["Location"] == reverse("nurture:task-list")
    task.refresh_from_db()
    assert task.done_at is not None


def test_the_contact_page_says_where_somebody_is(marketer: Client) -> None:
    program = build()
    person = Enrolment.objects.filter(state="active").first()
    assert person is not None
    page = marketer.get(reverse("leads:contact-detail", args=[person.contact_id]), {"panels": "all"}).content.decode()
    assert program.name in page
    assert "Wait 3 days" in page
    assert "Entered “" in page


@pytest.mark.parametrize(
    "name", ["program-list", "program-people", "sending-list", "template-list", "task-list", "program-detail"]
)
def test_statements_do_not_grow_with_rows(marketer: Client, name: str) -> None:
    numbers = []
    for rows in (1, 3):
        for _each in range(rows):
            program = build()
        Task.objects.update(assigned_to=None)
        url = reverse(f"nurture:{name}", args=[program.slug] if name in ("program-people", "program-detail") else [])
        marketer.get(url)
        with CaptureQueriesContext(connection) as captured:
            marketer.get(url + ("?of=all" if name == "task-list" else ""))
        numbers.append(len(captured))
    assert numbers[0] == numbers[1]
    assert numbers[0] <= 15


def test_the_outbox_pages_by_key(marketer: Client) -> None:
    template = make_template()
    Sending.objects.bulk_create(
        Sending(key=f"x:{n}", template=template, address=f"a{n}@x.test", queued_at=NOW, due_at=NOW, state="queued")
        for n in range(120)
    )
    url, seen = reverse("nurture:sending-list"), []
    after = ""
    while True:
        answer = marketer.get(url, {"after": after})
        seen += [row.pk for row in answer.context["rows"]]
        after = answer.context["next"]
        if not after:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 120


def test_a_large_companys_list_of_programs_does_not_wait_for_its_counts(
    marketer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = build()
    address = reverse("nurture:program-list")
    exact = marketer.get(address).content.decode()
    monkeypatch.setattr(figures, "FRESH_UP_TO", -1)
    cache.clear()
    page = marketer.get(address).content.decode()
    assert (program.name in page, "…</a>" in page, "…" in exact) == (True, True, False)
    part = marketer.get(address, headers={"HX-Request": "true", "HX-Target": "program-table"}).content.decode()
    inside = Enrolment.objects.filter(state="active").count()
    for shown in (part, exact, marketer.get(address).content.decode()):
        assert f'?which=here">{inside}</a>' in shown
    assert ("As of " in part, "As of " in exact) == (True, False)


def test_going_on_asks_about_the_waits_that_passed(marketer: Client) -> None:
    program, _people = make_walk(wait(3, "hours", "w"), people=3)
    now = timezone.now()
    walk(now - timedelta(hours=8))
    actions.pause(program, actor=None, now=now - timedelta(hours=6))
    url = reverse("nurture:program-resume", args=[program.slug])
    sheet = marketer.get(url)
    assert [(key, number) for key, _words, number in sheet.context["offers"]] == [
        ("at_once", 3),
        ("anew", 3),
        ("shift", 3),
    ]
    marketer.post(url, {"waits": "never"})
    program.refresh_from_db()
    assert program.state == "paused"
    assert marketer.post(url, {"waits": "anew"}).status_code == 302
    program.refresh_from_db()
    assert program.state == "live"
    assert {row.next_step_at is not None and row.next_step_at > now for row in program.enrolments.all()} == {True}


def test_triggers_in_the_panel(marketer: Client) -> None:
    program = make_program(wait(1), live=False)
    draft = program.versions.get()

    def post(name: str, *args: str, **data: object) -> str:
        draft.refresh_from_db()
        url = reverse(f"nurture:{name}", args=[program.slug, *args])
        answer = marketer.post(url, {"edit_number": draft.edit_number, **data}, headers=HTMX)
        assert answer.status_code == 200
        draft.refresh_from_db()
        return answer.content.decode()

    for kind in TRIGGERS.values():
        assert str(kind.label) in post("trigger-new", kind=kind.key)
    assert [one["id"] for one in draft.triggers] == [f"t{n}" for n in range(1, len(TRIGGERS) + 2)]
    stage = next(one["id"] for one in draft.triggers if one["kind"] == "stage")
    assert "Whoever enters" in post("trigger-delete", "t2")
    post("trigger-edit", stage, stages=["mql"])
    assert {"id": stage, "kind": "stage", "stages": ["mql"]} in draft.triggers
    activity = next(one["id"] for one in draft.triggers if one["kind"] == "activity")
    url = reverse("nurture:trigger-edit", args=[program.slug, activity])
    twice = '{"all": [{"did": "page_view"}, {"did": "download"}]}'
    refused = marketer.post(url, {"edit_number": draft.edit_number, "activity": twice}, headers=HTMX)
    assert (refused.status_code, "Expected one activity" in refused.content.decode()) == (422, True)
    stale = marketer.post(url, {"edit_number": 1, "activity": '{"did": "page_view"}'}, headers=HTMX)
    assert "Somebody else changed this meanwhile" in stale.content.decode()
    assert marketer.get(reverse("nurture:trigger-edit", args=[program.slug, "t99"])).status_code == 404


def test_the_panel_says_how_many_came_by_which_trigger(marketer: Client) -> None:
    program, people = make_walk(wait(1), people=2)
    segment = segment_of(program)
    panel = marketer.get(reverse("nurture:trigger-list", args=[program.slug]), headers=HTMX)
    assert panel.context["came"] == [(f"Entered “{segment.name}”", f"segment:{segment.slug}", 2)]
    listed = marketer.get(reverse("nurture:program-people", args=[program.slug]), {"why": f"segment:{segment.slug}"})
    assert (listed.context["total"], len(people)) == (2, 2)
    other = marketer.get(reverse("nurture:program-people", args=[program.slug]), {"why": "tag#t1"})
    assert other.context["total"] == 0
