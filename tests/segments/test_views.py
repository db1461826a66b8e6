"""Pages of segments: who may, what they show, save as a decision, keyset pages, costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads.access import ADMIN, MARKETER, SALES
from leads.actions import change_contact
from leads.models import AuditEntry, Contact, CustomField, Workspace
from leads.vocabulary import change_custom_field, delete_custom_field
from nurture.models import Enrolment, Program, ProgramVersion
from nurture.triggers.document import of_segment
from scoring.models import Rule, ScoreModel, ScoreVersion
from segments import contact_page, pages, turn
from segments.actions import add_to_segment, archive_segment, save_segment
from segments.forms.segments import names_in_file
from segments.models import Membership, Segment, SegmentVersion
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = pytest.mark.django_db

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
GERMAN = {"field": "contact.country", "op": "is", "value": "DE"}
SWISS = {"field": "contact.country", "op": "is", "value": "CH"}
BAD = {"field": "contact.title", "op": "at_least", "value": 3}


def sign_in(client: Client, role: str = MARKETER) -> Client:
    client.force_login(make_user(role))
    return client


@pytest.fixture
def marketer(client: Client) -> Client:
    return sign_in(client)


def url(name: str, *args: Any) -> str:
    return reverse(f"segments:segment-{name}", args=args)


def typed(conditions: Any, segment: Segment | None = None, **values: Any) -> dict[str, Any]:
    import json

    data = {
        "name": segment.name if segment else "Chiefs",
        "mode": "dynamic",
        "conditions": json.dumps(conditions),
        "notes": "",
        "folder": "",
    }
    if segment:
        data["version"] = str(segment.version)
    return data | values


def listed(client: Client, **query: str) -> list[str]:
    folders = client.get(url("list"), query).context["overview"].folders
    return [row.segment.name for folder in folders for row in folder.rows]


def people(response: Any) -> list[str]:
    return [str(stay.contact.external_id) for stay, _why in response.context["people"]]


@pytest.mark.parametrize(
    ("role", "reading", "writing", "exporting"),
    [(MARKETER, 200, 302, 200), (ADMIN, 200, 302, 200), (SALES, 200, 403, 403), ("", 403, 403, 403)],
)
def test_rights(client: Client, role: str, reading: int, writing: int, exporting: int) -> None:
    segment = make_segment(CFO)
    sign_in(client, role)
    for name in ("detail", "now", "members", "versions", "why"):
        answer = client.get(url(name, segment.slug), headers={"HX-Request": "true"})
        assert answer.status_code == reading, name
    for address in (url("list"), url("sizes"), reverse("segments:contact-why", args=[make_contact().pk])):
        assert client.get(address).status_code == reading, address
    assert client.get(url("bulk")).status_code in (405, 403)
    assert client.post(url("bulk"), {"verb": "archive", "slugs": []}).status_code == writing
    assert client.get(url("export", segment.slug)).status_code == exporting
    form = 200 if writing == 302 else 403
    assert client.get(url("new")).status_code == form
    assert client.get(url("edit", segment.slug)).status_code == form
    assert client.get(url("restore", segment.slug, 1)).status_code == form
    for name, data in (
        ("people", {"verb": "add", "names": "x"}),
        ("rename", {"slug": segment.slug}),
        ("duplicate", {}),
        ("archive", {}),
        ("unarchive", {}),
        ("delete", {}),
    ):
        assert client.get(url(name, segment.slug)).status_code in (405, 403), name
        assert client.post(url(name, segment.slug), data).status_code == writing, name
    assert client.get(url("detail", "nowhere")).status_code == (404 if reading == 200 else 403)


def test_strangers_are_sent_to_the_sign_in(client: Client) -> None:
    assert client.get(url("list")).status_code == 302


def test_a_new_segment_is_reviewed_then_saved(marketer: Client) -> None:
    make_contact(title="CFO", first_name="Ada", last_name="Byron")
    make_contact(title="Clerk")
    review = marketer.post(url("new"), typed(CFO, step="review"))
    assert (review.status_code, Segment.objects.count()) == (200, 0)
    difference = review.context["proposal"].difference
    assert (difference.before, difference.after, difference.joining, difference.leaving) == (0, 1, 1, 0)
    assert b"Ada Byron" in review.content
    saved = marketer.post(url("new"), typed(CFO, step="save"), follow=True)
    segment = Segment.objects.get()
    assert saved.redirect_chain == [(url("detail", segment.slug), 302)]
    version = SegmentVersion.objects.get()
    assert (segment.conditions, version.joining, version.leaving) == (CFO, 1, 0)


def test_going_back_from_the_review_loses_nothing(marketer: Client) -> None:
    back = marketer.post(url("new"), typed(CFO, step="edit", notes="for Eve", folder="F"))
    form = back.context["form"]
    assert (back.status_code, form["notes"].value(), form["folder"].value(), form.errors) == (200, "for Eve", "F", {})
    assert b"cfo" in back.content


@pytest.mark.parametrize(
    ("conditions", "more", "field"),
    [
        ({"all": []}, {}, "conditions"),
        (BAD, {}, "conditions"),
        (CFO, {"everybody": "on"}, "everybody"),
        (CFO, {"name": ""}, "name"),
    ],
)
def test_what_cannot_be_saved_is_said_in_the_form(
    marketer: Client, conditions: Any, more: dict[str, Any], field: str
) -> None:
    answer = marketer.post(url("new"), typed(conditions, step="save", **more))
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert not Segment.objects.exists()


def test_everybody_by_name_and_a_fixed_list(marketer: Client) -> None:
    marketer.post(url("new"), typed({"all": []}, step="save", everybody="on", name="All"))
    marketer.post(url("new"), typed({"all": []}, step="save", mode="fixed", name="List"))
    assert dict(Segment.objects.values_list("name", "conditions")) == {"All": {"all": []}, "List": None}


def test_a_loop_is_told_in_the_form(marketer: Client) -> None:
    segment = make_segment(CFO, name="A")
    make_segment({"in_segment": "a"}, name="B")
    answer = marketer.post(url("edit", "a"), typed({"in_segment": "b"}, segment, step="review"))
    assert answer.status_code == 422
    assert "A → B → A" in str(answer.context["form"].errors["conditions"])


def test_the_guard_stops_an_accidental_or(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "JUMP_PEOPLE", 4)
    Contact.objects.bulk_create(
        [Contact(external_id=f"c{n}", title="CFO" if n < 2 else "", country="DE") for n in range(10)]
    )
    segment = make_segment({"all": [CFO, GERMAN]})
    turn.turn(NOW)
    accident = typed({"any": [CFO, GERMAN]}, segment)
    asked = marketer.post(url("edit", segment.slug), accident | {"step": "save"})
    assert (asked.status_code, asked.context["proposal"].is_jump, asked.context["is_asked"]) == (422, True, True)
    assert b"segment-guard" in asked.content
    segment.refresh_from_db()
    assert segment.version == 1
    for answer in ("yes", "2", "100"):
        assert (
            marketer.post(url("edit", segment.slug), accident | {"step": "save", "is_meant": answer}).status_code == 422
        )
    assert marketer.post(url("edit", segment.slug), accident | {"step": "save", "is_meant": "10"}).status_code == 302
    segment.refresh_from_db()
    assert segment.conditions == {"any": [CFO, GERMAN]}


def test_the_factor_of_the_guard_is_the_workspaces(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "JUMP_PEOPLE", 1)
    Workspace.objects.update_or_create(pk=1, defaults={"jump_factor": 5})
    for n in range(8):
        make_contact(title="CFO" if n < 2 else "Clerk", country="DE")
    segment = make_segment(CFO)
    turn.turn(NOW)
    review = marketer.post(url("edit", segment.slug), typed(GERMAN, segment, step="review"))
    assert (review.context["proposal"].difference.after, review.context["proposal"].is_jump) == (8, False)
    Workspace.objects.update(jump_factor=3)
    review = marketer.post(url("edit", segment.slug), typed(GERMAN, segment, step="review"))
    assert (review.context["factor"], review.context["proposal"].is_jump) == (3, True)


@pytest.mark.parametrize(
    ("typed_size", "after", "expected"),
    [
        ("940,000", 940_000, True),
        ("940.000", 941_000, True),
        ("94000", 940_000, False),
        ("", 0, False),
        ("9" * 40, 9, False),
    ],
)
def test_the_new_size_is_typed_as_people_write_it(typed_size: str, after: int, expected: bool) -> None:
    assert pages.Proposal({}, "", True, 3, pages.Difference(0, after, 0, 0)).is_meant(typed_size) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (100, 300, False),
        (100, 301, True),
        (0, 5_000, False),
        (10, 110, False),
        (10, 111, True),
        (300, 99, True),
        (300, 200, False),
        (90, 0, False),
    ],
)
def test_what_counts_as_a_jump(before: int, after: int, expected: bool) -> None:
    proposal = pages.Proposal({}, "", True, 3, pages.Difference(before, after, 0, 0))
    assert proposal.is_jump is expected


def test_what_depends_on_it_is_told_before_saving(marketer: Client) -> None:
    segment = make_segment(CFO, name="A")
    make_segment({"in_segment": "a"}, name="B")
    make_segment({"in_segment": "b"}, name="C")
    review = marketer.post(url("edit", "a"), typed(GERMAN, segment, step="review"))
    assert [(one.definition.label, one.through, one.consequences) for one in review.context["proposal"].affected] == [
        ("B", "", ()),
        ("C", "B", ()),
    ]
    make_contact(country="DE")
    review = marketer.post(url("edit", "a"), typed(GERMAN, segment, step="review"))
    assert review.context["proposal"].affected[0].consequences == ("1 person is looked at again",)


def test_programs_and_score_models_are_told_with_numbers(marketer: Client) -> None:
    segment = make_segment(CFO, name="A")
    joins, known, leaves = make_contact(country="DE"), make_contact(country="DE"), make_contact(title="CFO")
    turn.turn(NOW)
    program = Program.objects.create(slug="welcome", name="Welcome", state=Program.State.LIVE)
    version = ProgramVersion.objects.create(
        program=program,
        number=1,
        state=ProgramVersion.State.LIVE,
        triggers=of_segment(segment.slug),
        trigger_segment=segment,
        tree={"steps": []},
    )
    for contact in (known, leaves):
        Enrolment.objects.create(
            program=program, version=version, contact=contact, entered_at=NOW, step="end", next_step_at=NOW
        )
    model = ScoreModel.objects.create(slug="second", name="Second")
    live = ScoreVersion.objects.create(model=model, number=1, state=ScoreVersion.State.LIVE)
    Rule.objects.create(version=live, group="fit", name="Chiefs", points=10, conditions={"in_segment": "a"})
    review = marketer.post(url("edit", "a"), typed(GERMAN, segment, step="review"))
    assert {one.definition.label: one.consequences for one in review.context["proposal"].affected} == {
        "Welcome": ("1 person would be taken in", "1 of those who leave the segment is in it now"),
        "Second": ("up to 3 people are looked at again", "rule “Chiefs” (+10 points)"),
    }
    assert joins.pk in [contact.pk for contact in review.context["proposal"].joining]


def test_what_changed_between_two_rules_is_told(marketer: Client) -> None:
    segment = make_segment({"all": [CFO, GERMAN]})
    review = marketer.post(url("edit", segment.slug), typed({"any": [GERMAN, CFO]}, segment, step="review"))
    assert [change.sign for change in review.context["proposal"].changes] == ["±"]
    review = marketer.post(url("edit", segment.slug), typed({"all": [GERMAN, {"not": CFO}]}, segment, step="review"))
    assert [change.sign for change in review.context["proposal"].changes] == ["±"]
    review = marketer.post(url("edit", segment.slug), typed({"all": [GERMAN, SWISS]}, segment, step="review"))
    assert [(change.sign, change.words) for change in review.context["proposal"].changes] == [
        ("−", pages.in_words(CFO)), ("+", pages.in_words(SWISS)),
    ]  # fmt: skip
    review = marketer.post(url("edit", segment.slug), typed({"any": [GERMAN, SWISS]}, segment, step="review"))
    changes = review.context["proposal"].changes
    assert [change.sign for change in changes] == ["±", "−", "+"]
    assert changes[0].words.startswith("“or” instead of “and”")
    save_segment(segment, name=segment.name, conditions={"all": [GERMAN, SWISS]}, actor=None, now=NOW)
    rows = marketer.get(url("versions", segment.slug)).context["rows"]
    assert [[change.sign for change in changes] for _version, _sentence, _same, changes in rows] == [["−", "+"], []]


def test_a_rule_that_takes_too_long_can_be_saved_knowingly(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from segments import queries
    from segments.conditions import Sql

    monkeypatch.setattr(pages, "REVIEW_SECONDS", 0.05)
    monkeypatch.setattr(pages, "matching", lambda *a, **k: Sql("SELECT id FROM leads_contact, pg_sleep(1)", ()))
    make_contact()
    review = marketer.post(url("new"), typed(CFO, step="review"))
    assert (review.context["proposal"].difference, review.context["proposal"].is_jump) == (None, True)
    assert marketer.post(url("new"), typed(CFO, step="save", is_meant="yes")).status_code == 302
    assert queries.wrong_counts() == []


def test_the_second_of_two_editors_is_told_and_loses_nothing(marketer: Client) -> None:
    segment = make_segment(CFO)
    other = make_user(username="rival")
    save_segment(segment, name="Theirs", conditions=GERMAN, actor=other, now=NOW)
    mine = typed({"any": [CFO, GERMAN]}, segment, name="Mine", step="save")
    told = marketer.post(url("edit", segment.slug), mine)
    assert told.status_code == 409
    form = told.context["form"]
    assert (form["name"].value(), form["version"].value()) == ("Mine", "2")
    assert b"rival" in told.content
    assert (told.context["their_sentence"], told.context["mine_sentence"]) == (
        pages.in_words(GERMAN), pages.in_words({"any": [CFO, GERMAN]}),
    )  # fmt: skip
    assert [(change.sign, change.words) for change in told.context["their_changes"]] == [("+", pages.in_words(CFO))]
    assert told.context["their_words"] == [("Name", "Theirs")]
    assert marketer.post(url("edit", segment.slug), mine | {"version": "2"}).status_code == 302
    segment.refresh_from_db()
    assert (segment.name, segment.version) == ("Mine", 3)


@pytest.mark.parametrize("step", ["review", "save"])
def test_a_field_that_changed_in_another_tab_is_told_and_nothing_is_lost(marketer: Client, step: str) -> None:
    field = CustomField.objects.create(of="contact", key="plan", label="Plan", type="text")
    segment = make_segment(CFO)
    mine = typed(
        {"field": "contact.custom.plan", "op": "contains", "value": "pro"}, segment, notes="for Eve", step=step
    )
    change_custom_field(field, label="Plan", type="number", choices=[], help="", actor=None, now=NOW)
    told = marketer.post(url("edit", segment.slug), mine)
    assert told.status_code == 422
    assert list(told.context["form"].errors) == ["conditions"]
    assert b"for Eve" in told.content and b"contact.custom.plan" in told.content
    delete_custom_field(field, actor=None, now=NOW)
    told = marketer.post(url("edit", segment.slug), mine)
    assert (told.status_code, b"contact.custom.plan" in told.content) == (422, True)
    segment.refresh_from_db()
    assert (segment.conditions, segment.version) == (CFO, 1)


def test_words_alone_are_saved_without_a_review(marketer: Client) -> None:
    segment = make_segment(CFO)
    assert (
        marketer.post(url("edit", segment.slug), typed(CFO, segment, notes="new words", step="review")).status_code
        == 302
    )
    segment.refresh_from_db()
    assert (segment.notes, segment.version) == ("new words", 2)


def test_an_earlier_version_goes_through_the_same_decision(marketer: Client) -> None:
    segment = make_segment(CFO)
    segment = save_segment(segment, name=segment.name, conditions=GERMAN, actor=None, now=NOW)
    page = marketer.get(url("restore", segment.slug, 1))
    assert page.context["form"].initial["conditions"] == CFO
    assert [sentence for _version, sentence, _same, _changes in marketer.get(url("versions", segment.slug)).context["rows"]] == [
        pages.in_words(GERMAN), pages.in_words(CFO),
    ]  # fmt: skip


def test_members_joined_left_and_by_hand(marketer: Client) -> None:
    stays, left = make_contact(external_id="stays"), make_contact(external_id="left")
    segment = make_segment()
    add_to_segment(segment, contact_ids=[stays.pk, left.pk], cause="by_hand", actor=None, now=NOW)
    marketer.post(url("people", segment.slug), {"verb": "remove", "names": "left", "reason": "moved"})
    assert people(marketer.get(url("detail", segment.slug))) == ["stays"]
    for which, expected in (("members", ["stays"]), ("joined", ["left", "stays"]), ("left", ["left"])):
        answer = marketer.get(url("members", segment.slug), {"which": which}, headers={"HX-Request": "true"})
        assert people(answer) == expected
    today = timezone.now().date().isoformat()
    for which, first, last, expected in (
        ("joined", "2026-03-02", "2026-03-02", ["left", "stays"]),
        ("joined", "2026-03-03", "", []),
        ("left", "", "2026-03-02", []),
        ("left", today, today, ["left"]),
        ("left", "rubbish", "99999-01-01", ["left"]),
    ):
        answer = marketer.get(url("detail", segment.slug), {"which": which, "from": first, "to": last})
        assert people(answer) == expected, (which, first, last)
    by_hand = marketer.get(url("detail", segment.slug), {"which": "by_hand"})
    assert [row.contact.external_id for row, _cause in by_hand.context["overrides"]] == ["stays"]


def test_the_size_is_asked_again_until_it_is_worked_out(marketer: Client) -> None:
    make_contact(title="CFO")
    segment = make_segment(CFO)
    address = url("now", segment.slug)
    assert f'hx-get="{address}" hx-trigger="every 2s"' in marketer.get(url("detail", segment.slug)).text
    waiting = marketer.get(address, headers={"HX-Request": "true"}).text
    assert 'hx-trigger="every 2s"' in waiting and url("members", segment.slug) not in waiting
    turn.turn(NOW)
    done = marketer.get(address, headers={"HX-Request": "true"}).text
    assert ">1</span>" in done and "every 2s" not in done
    assert f'hx-get="{url("members", segment.slug)}" hx-trigger="load"' in done
    assert "every 2s" not in marketer.get(url("detail", segment.slug)).text
    Segment.objects.filter(pk=segment.pk).update(stale_since=NOW, problem="It broke.")
    broken = marketer.get(address, headers={"HX-Request": "true"}).text
    assert "It broke." in broken and "every 2s" not in broken
    assert marketer.get(address).url == url("detail", segment.slug)  # type: ignore[attr-defined]


def test_members_are_searched_and_paged_by_key(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    contacts = [make_contact(external_id=f"c{n:02}", last_name="Smith" if n % 2 else "Jones") for n in range(30)]
    segment = make_segment()
    for n, contact in enumerate(contacts):
        Membership.objects.create(
            segment=segment, contact=contact, since=NOW + timedelta(minutes=n // 3), why="by_hand"
        )
    first = marketer.get(url("detail", segment.slug))
    names = people(first)
    assert (len(names), names[0], first.context["page"].previous) == (25, "c29", "")
    rest = marketer.get(url("detail", segment.slug), {"after": first.context["page"].next})
    assert names + people(rest) == [f"c{n:02}" for n in reversed(range(30))]
    back = marketer.get(url("detail", segment.slug), {"before": rest.context["page"].previous})
    assert people(back) == names
    found = marketer.get(url("detail", segment.slug), {"q": "smith C01"})
    assert people(found) == ["c01"]
    assert people(marketer.get(url("detail", segment.slug), {"after": "garbage"})) == names


def test_why_shows_the_leaves_with_the_actual_values(marketer: Client) -> None:
    contact = make_contact(title="Clerk", country="DE", first_name="Ada", last_name="Byron")
    segment = make_segment({"all": [CFO, GERMAN]})
    found = marketer.get(url("why", segment.slug), {"q": "byron"})
    assert [one.pk for one in found.context["candidates"]] == [contact.pk]
    why = marketer.get(url("why", segment.slug), {"contact": contact.pk}).context["why"]
    assert (why.verdict.holds, why.stay, [leaf.holds for leaf in why.verdict.because]) == (False, None, [False])
    assert (
        b"Clerk"
        in marketer.get(url("why", segment.slug), {"contact": contact.pk}, headers={"HX-Request": "true"}).content
    )
    add_to_segment(segment, contact_ids=[contact.pk], cause="by_hand", actor=None, now=NOW, reason="Eve asked")
    again = marketer.get(url("why", segment.slug), {"contact": contact.pk})
    assert (again.context["why"].stay.why, b"Eve asked" in again.content) == ("by_hand", True)
    assert marketer.get(url("why", segment.slug), {"contact": "999999999"}).status_code == 404
    assert marketer.get(url("why", segment.slug), {"contact": "x"}).status_code == 200


def test_by_hand_from_the_page(marketer: Client) -> None:
    make_contact("ada@x.test", external_id="ada"), make_contact("bob@x.test", external_id=None)
    segment = make_segment({"all": [CFO]})
    answer = marketer.post(
        url("people", segment.slug), {"verb": "add", "names": "ada, BOB@x.test\nnobody"}, follow=True
    )
    assert [str(message) for message in answer.context["messages"]] == ["2 people joined.", "Not known here: nobody"]
    answer = marketer.post(url("people", segment.slug), {"verb": "leave_to_rule", "names": "ada"}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["Left to the rule; 1 person changed."]
    assert list(Membership.objects.filter(until=None).values_list("contact__email", flat=True)) == ["bob@x.test"]


def test_people_come_from_a_file(marketer: Client) -> None:
    make_contact("ada@x.test", external_id="ada"), make_contact("bob@x.test", external_id=None)
    segment = make_segment()
    file = SimpleUploadedFile("list.csv", b"Name;E-Mail\nBob;BOB@x.test\nEve;eve@x.test\n")
    answer = marketer.post(url("people", segment.slug), {"verb": "add", "names": "ada", "file": file}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == [
        "2 people joined.", "Not known here: eve@x.test",
    ]  # fmt: skip
    broken = SimpleUploadedFile("list.csv", b"\xff\xfe\x00")
    answer = marketer.post(url("people", segment.slug), {"verb": "add", "file": broken}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["The file is not UTF-8 text."]
    answer = marketer.post(url("people", segment.slug), {"verb": "add"}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == ["Name somebody, or choose a file."]
    assert segment.memberships.filter(until=None).count() == 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a@x.test\nb@x.test\na@x.test\n", ["a@x.test", "b@x.test"]),
        ("external_id,email\nc1,a@x.test\n,b@x.test\n", ["c1", "b@x.test"]),
        ("title\te-mail\nVP\t a@x.test \n", ["a@x.test"]),
        ('{"external_id": "c1"}\n{"email": "b@x.test"}\nnonsense\n[1]\n', ["c1", "b@x.test"]),
        ("", []),
    ],
)
def test_names_are_found_in_files(text: str, names: list[str]) -> None:
    assert names_in_file(text) == names


def test_use_and_archive(marketer: Client) -> None:
    segment = make_segment(CFO, name="A")
    make_segment({"in_segment": "a"}, name="B")
    answer = marketer.post(url("archive", "a"), follow=True)
    assert "“A” is used by: segment “B”" in str(next(iter(answer.context["messages"])))
    assert [user.label for user in marketer.get(url("detail", "a")).context["users"]] == ["B"]
    marketer.post(url("archive", "b"))
    marketer.post(url("archive", "a"))
    assert listed(marketer, archived="yes") == ["A", "B"]
    assert marketer.get(url("edit", "a")).status_code == 302
    marketer.post(url("unarchive", "a"))
    marketer.post(url("delete", "b"))
    assert list(Segment.objects.values_list("slug", "archived_at")) == [(segment.slug, None)]


def test_the_list_is_filtered_and_says_what_to_do_when_empty(marketer: Client) -> None:
    assert b"No segments yet" in marketer.get(url("list")).content
    make_segment(CFO, name="Chiefs", folder="Finance")
    make_segment(name="By hand")
    archive_segment(make_segment(CFO, name="Old"), actor=None, now=NOW)

    def names(**query: str) -> list[str]:
        return listed(marketer, **query)

    assert names() == ["Chiefs", "By hand"]  # folders first
    assert (names(q="chief"), names(folder="Finance"), names(mode="fixed"), names(q="zz")) == (
        ["Chiefs"],
        ["Chiefs"],
        ["By hand"],
        [],
    )


def test_the_export_has_every_member_and_no_formula(marketer: Client) -> None:
    contact = make_contact(external_id="=1+1", title="CFO", company={"name": "Ä\n“B”"})
    segment = make_segment(CFO)
    turn.turn(NOW)
    answer = marketer.get(url("export", segment.slug))
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "external_id,email,first_name,last_name,title,company,country,stage,since,why"
    assert lines[1].startswith(f"'=1+1,{contact.email},Ada,")
    assert lines[-1].endswith(",inquiry,2026-03-02T12:00:00+00:00,rule:1")
    assert AuditEntry.objects.filter(verb="exported").count() == 1


@pytest.mark.parametrize("number", [1, 3])
def test_pages_cost_the_same_for_one_and_three(marketer: Client, number: int) -> None:
    for n in range(number):
        make_contact(title="CFO", company={"name": f"C{n}"})
    make_segment(CFO, name="A")
    for n in range(number):
        make_segment({"in_segment": "a"}, name=f"User {n}")
    turn.turn(NOW)
    marketer.get(url("list"))
    cost = {}
    for name, address in (
        ("list", url("list")),
        ("detail", url("detail", "a")),
        ("members", url("members", "a")),
        ("versions", url("versions", "a")),
        ("new", url("new")),
        ("edit", url("edit", "a")),
        ("why", f"{url('why', 'a')}?contact={Contact.objects.latest('pk').pk}"),
    ):
        marketer.get(address)  # what is kept for all pages is there
        with CaptureQueriesContext(connection) as captured:
            assert marketer.get(address, headers={"HX-Request": "true"} if name == "members" else {}).status_code == 200
        cost[name] = len(captured)
    # “Used by” asks every source of definitions: six statements of the list and of the page, five of them of higher rooms.
    assert cost == {"list": 13, "detail": 14, "members": 7, "versions": 6, "new": 12, "edit": 13, "why": 11}


@pytest.mark.parametrize("number", [1, 3])
def test_the_panel_and_the_timeline_of_a_contact(number: int) -> None:
    contact = make_contact(title="CFO")
    segments = [make_segment(CFO, name=f"S{n}") for n in range(number)]
    turn.turn(NOW)
    change_contact(contact, changes={"title": "Clerk"}, actor=None, now=NOW + timedelta(days=1))
    turn.turn(NOW + timedelta(days=1))
    add_to_segment(segments[0], contact_ids=[contact.pk], cause="by_hand", actor=None, now=NOW + timedelta(days=2))
    with CaptureQueriesContext(connection) as captured:
        memberships = contact_page._panel(contact, make_user(), NOW)["memberships"]
        assert [(stay.segment.name, why) for stay, why in memberships] == [("S0", "by hand")]
        events = contact_page._events(contact.pk, None, 50)
        assert sorted((event.at, event.title) for event in events) == sorted(
            [(NOW, f"Joined “S{n}”") for n in range(number)]
            + [(NOW + timedelta(days=1), f"Left “S{n}”") for n in range(number)]
            + [(NOW + timedelta(days=2), "Joined “S0”")]
        )
        assert len(contact_page._events(contact.pk, NOW + timedelta(days=2), 50)) == 2 * number
    assert len([query for query in captured if "segments_membership" in query["sql"]]) == 3


def test_the_contact_list_can_be_filtered_by_segment(marketer: Client) -> None:
    make_contact(external_id="in", title="CFO")
    make_contact(external_id="out")
    segment = make_segment(CFO)
    turn.turn(NOW)
    found = contact_page._in_segment(Contact.objects.all(), segment.slug)
    assert list(found.values_list("external_id", flat=True)) == ["in"]
    assert not contact_page._in_segment(Contact.objects.all(), "nowhere").exists()
    assert marketer.get(reverse("leads:contact-list"), {"segment": segment.slug}).status_code == 200
