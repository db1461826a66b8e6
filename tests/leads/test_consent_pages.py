"""Pages of consent: purposes and limits, the suppression list, one contact; who may, what is kept, what is refused."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads.access import ADMIN, MARKETER, SALES
from leads.addresses import address_hash
from leads.consent import state_of, withdraw_consent
from leads.countries import QUIET
from leads.models import AuditEntry, ConsentEvent, ConsentRequest, ConsentWording, Purpose, Suppression
from leads.suppression import suppress
from leads.workspace import workspace
from tests.makers import NOW, make_contact, make_user

pytestmark = pytest.mark.django_db

ADA = "ada@example.test"
PURPOSE = {
    "slug": "courses",
    "name": "Courses",
    "description": "What we teach",
    "basis": "consent",
    "position": "50",
    "wording": "Yes.",
}


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_user(ADMIN, username="root"))
    return client


def test_a_purpose_is_made_changed_and_put_away(admin: Client) -> None:
    assert admin.post(reverse("leads:purpose-new"), PURPOSE).status_code == 302
    edit = reverse("leads:purpose-edit", args=["courses"])
    assert (
        admin.post(edit, {**PURPOSE, "slug": "other", "name": "Lessons", "wording": "Yes, please."}).status_code == 302
    )
    assert admin.post(edit, {**PURPOSE, "name": "Lessons", "wording": "Yes, please."}).status_code == 302
    purpose = Purpose.objects.get(slug="courses")
    assert (purpose.name, purpose.basis) == ("Lessons", "consent")
    assert list(ConsentWording.objects.order_by("number").values_list("number", "text")) == [
        (1, "Yes."),
        (2, "Yes, please."),
    ]
    page = admin.get(reverse("leads:purpose-list")).content.decode()
    assert "Lessons" in page
    assert "version 2" in page
    assert admin.post(reverse("leads:purpose-archive", args=["courses"])).status_code == 302
    assert "Lessons" not in admin.get(reverse("leads:purpose-list")).content.decode()
    assert list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True)) == [
        "made",
        "changed",
        "changed",
        "archived",
    ]


@pytest.mark.parametrize(
    "values",
    [{"slug": "newsletter"}, {"slug": "new"}, {"slug": "No Slug"}, {"name": ""}, {"basis": "none"}, {"position": "-1"}],
)
def test_what_is_no_purpose(admin: Client, values: dict[str, str]) -> None:
    before = Purpose.objects.count()
    assert admin.post(reverse("leads:purpose-new"), PURPOSE | values).status_code == 422
    assert Purpose.objects.count() == before


def test_a_purpose_in_use_stays_and_so_does_everything(admin: Client) -> None:
    from tests.nurture.makers import make_template

    make_template(name="Spring", purpose="events")
    for slug, words in (("events", "Spring"), ("marketing", "all purposes together")):
        answer = admin.post(reverse("leads:purpose-archive", args=[slug]), follow=True)
        assert words in answer.content.decode()
        assert Purpose.objects.get(slug=slug).archived_at is None
    refused = admin.post(reverse("leads:purpose-edit", args=["marketing"]), PURPOSE | {"basis": "consent"})
    assert refused.status_code == 422


def test_the_window_is_kept(admin: Client) -> None:
    values = {"mail_days": ["1", "2"], "mail_start": "08:00", "mail_end": "18:00"}
    assert admin.post(reverse("leads:purpose-list"), values).status_code == 302
    row = workspace()
    assert (row.mail_days, str(row.mail_start), str(row.mail_end)) == ([1, 2], "08:00:00", "18:00:00")
    for wrong in ({"mail_end": "08:00"}, {"mail_days": ["8"]}, {"mail_start": "noon"}):
        assert admin.post(reverse("leads:purpose-list"), values | wrong).status_code == 422
    assert admin.post(reverse("leads:purpose-list"), {}).status_code == 302
    assert (workspace().mail_days, workspace().mail_start) == ([], None)


def test_the_suppression_list(admin: Client) -> None:
    link = reverse("leads:suppression-list")
    for what in (ADA, "@rival.test", "info@"):
        assert admin.post(link, {"what": what, "note": "asked"}).status_code == 302
    assert admin.post(link, {"what": "no address"}).status_code == 422
    suppress("ben@example.test", reason="bounced", source="smtp", now=NOW)
    page = admin.get(link).content.decode()
    for words in (ADA, "@rival.test", "info@", "ben@example.test", "hard bounce"):
        assert words in page
    assert "ben@example.test" not in admin.get(link, {"q": "ADA@example.test"}).content.decode()
    assert ADA not in admin.get(link, {"reason": "bounced"}).content.decode()
    assert admin.get(link, {"q": "b", "after": "spoilt", "reason": "nonsense"}).status_code == 200
    row = Suppression.objects.get(address=ADA)
    admin.post(reverse("leads:suppression-release"), {"address_hash": row.pk})
    assert not Suppression.objects.filter(pk=row.pk).exists()
    assert admin.post(reverse("leads:suppression-release"), {"address_hash": row.pk}).status_code == 404


def test_files_of_the_suppression_list(admin: Client) -> None:
    link = reverse("leads:suppression-import")
    file = SimpleUploadedFile("list.csv", b"email,reason\na@example.test,\nx,\n")
    answer = admin.post(link, {"file": file}, follow=True).content.decode()
    assert "2 rows: 1 new on the list, 0 known, 1 rejected." in answer
    assert "Line 3" in answer
    for content in (b"", b"\xff\xfe\x00", b"email\n\x80@x.test\n"):
        admin.post(link, {"file": SimpleUploadedFile("list.csv", content)})
    assert Suppression.objects.count() == 1
    exported = b"".join(admin.get(reverse("leads:suppression-export")).streaming_content).decode()  # type: ignore[attr-defined]
    assert exported.splitlines()[1].startswith("a@example.test,")
    assert AuditEntry.objects.filter(verb="exported", object_kind="suppression").count() == 1


def test_what_a_colleague_writes_down(client: Client) -> None:
    user, contact = make_user(SALES), make_contact(ADA)
    client.force_login(user)
    link = reverse("leads:contact-consent", args=[contact.pk])
    assert client.post(link, {"purpose": "newsletter", "verb": "give", "note": " "}).status_code == 422
    assert client.post(link, {"purpose": "newsletter", "verb": "give", "note": "At the fair, 3 May"}).status_code == 302
    event = ConsentEvent.objects.get()
    assert (event.state, event.source, event.proof) == (
        "given",
        "by_hand",
        {"by": user.username, "note": "At the fair, 3 May"},
    )
    assert client.post(link, {"purpose": "newsletter", "verb": "withdraw"}).status_code == 302
    assert state_of(ADA, "newsletter") == "withdrawn"
    assert client.post(link, {"purpose": "events", "verb": "ask"}).status_code == 302
    assert ConsentRequest.objects.get().purposes == ["events"]
    page = client.get(link).content.decode()
    for words in ("At the fair, 3 May", "asked, not confirmed", "withdrawn"):
        assert words in page
    assert client.post(link, {"purpose": "nonsense", "verb": "give", "note": "x"}).status_code == 422
    assert AuditEntry.objects.count() == 3


def test_a_contact_without_address(client: Client) -> None:
    client.force_login(make_user(SALES))
    contact = make_contact()
    contact.email = None
    contact.save()
    link = reverse("leads:contact-consent", args=[contact.pk])
    assert "has none" in client.get(link).content.decode()
    client.post(link, {"purpose": "newsletter", "verb": "withdraw"})
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize("rows", [1, 3])
def test_statements_do_not_grow_with_rows(admin: Client, rows: int) -> None:
    contact = make_contact(ADA)
    for number in range(rows):
        suppress(f"n{number}@example.test", reason="bounced", source="smtp", now=NOW)
        withdraw_consent(ADA, purpose=["newsletter", "events", "one-to-one"][number], source="x", now=NOW)
    counts = []
    for link in (
        reverse("leads:suppression-list"),
        reverse("leads:purpose-list"),
        reverse("leads:contact-consent", args=[contact.pk]),
    ):
        admin.get(link)  # what a process learns once
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(link).status_code == 200
        counts.append(len(captured))
    assert counts == COUNTS


COUNTS = [6, 7, 13]


def test_the_ledger_is_told_in_words(client: Client) -> None:
    client.force_login(make_user(SALES))
    contact = make_contact(ADA)
    said = {
        "one_click": {"sending": 7, "ip_hash": "ab" * 16, "agent": "Mozilla"},
        "confirmed:website:footer": {"request": 3, "asked_at": "2026-03-01T09:00:00+00:00"},
        "import:old list.csv": {},
        "something new": {"colour": "red"},
    }
    for source, proof in said.items():
        ConsentEvent.objects.create(
            address_hash=address_hash(ADA), state="given", purpose="events", occurred_at=NOW, source=source, proof=proof
        )
    page = client.get(reverse("leads:contact-consent", args=[contact.pk])).content.decode()
    words = ["Events", "one click in their mail program", "confirmed by mail: a form of a website: footer"]
    words += [
        "a file: old list.csv",
        "something new",
        "abababab…",
        "colour:",
        f'href="{reverse("nurture:sending-detail", args=[7])}"',
    ]
    for one in words:
        assert one in page
    for one in ("one_click", "ip_hash", "request:"):
        assert one not in page


@pytest.mark.parametrize(("role", "expected"), [(ADMIN, 200), (MARKETER, 403), (SALES, 403)])
def test_who_may(client: Client, role: str, expected: int) -> None:
    client.force_login(make_user(role))
    for name in ("purpose-list", "purpose-new", "suppression-list", "suppression-export"):
        assert client.get(reverse(f"leads:{name}")).status_code == expected
    for name in ("suppression-import", "suppression-release"):
        assert (client.post(reverse(f"leads:{name}")).status_code == 403) == (expected == 403)
    contact = make_contact(ADA)
    assert client.get(reverse("leads:contact-consent", args=[contact.pk])).status_code == 200


def test_a_new_purpose_is_quiet_where_a_yes_is_usual(admin: Client) -> None:
    page = admin.get(reverse("leads:purpose-new")).content.decode()
    assert f"{len(QUIET)} quiet countries" in page
    kept = {**PURPOSE, "basis": "interest", "quiet_countries": ["DE", "AT"]}
    assert admin.post(reverse("leads:purpose-new"), kept).status_code == 302
    assert Purpose.objects.get(slug="courses").quiet_countries == ["AT", "DE"]
    assert "2 quiet countries" in admin.get(reverse("leads:purpose-edit", args=["courses"])).content.decode()
    assert admin.post(reverse("leads:purpose-new"), {**kept, "quiet_countries": ["XX"]}).status_code == 422
