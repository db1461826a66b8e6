"""The suppression list: addresses, domains, roles; files in and out."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from leads import suppression_file
from leads.actions import Refused
from leads.addresses import address_hash
from leads.consent import give_consent
from leads.lists import safe_cell
from leads.models import AuditEntry, ConsentEvent, Mark, Suppression, SuppressionPattern
from leads.queries_consent import why_blocked
from leads.suppression import add_pattern, release, suppress
from leads.suppression_file import export_rows, import_file
from tests.makers import NOW, clear_marks, make_contact, make_user

pytestmark = pytest.mark.django_db


def why(address: str) -> str:
    return why_blocked([address], "product-news").get(address, "")


def take(text: str) -> suppression_file.Taken:
    return import_file(io.StringIO(text), file_name="list.csv", actor=make_user(), now=NOW)


def test_an_address_on_the_list_and_off_again() -> None:
    contact = make_contact("ada@example.test")
    assert suppress("ADA@example.test", reason="by_hand", source="asked by phone", now=NOW, actor=make_user())
    assert why("ada@example.test") == "by_hand"
    clear_marks()
    release(Suppression.objects.get(), actor=make_user(), now=NOW)
    assert why("ada@example.test") == ""
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.CONSENT)]
    assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == ["suppressed", "released"]


def test_a_complaint_stays() -> None:
    suppress("ada@example.test", reason="complained", source="provider", now=NOW)
    with pytest.raises(Refused):
        release(Suppression.objects.get(), actor=make_user(), now=NOW)
    assert why("ada@example.test") == "complained"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("ada@rival.test", "domain"),
        ("ada@MAIL.rival.test", "domain"),
        ("ada@notrival.test", ""),
        ("rival.test@x.test", ""),
        ("INFO@example.test", "role"),
        ("info.desk@example.test", ""),
        ("a_b@example.test", "role"),
        ("axb@example.test", ""),
        ("noreply@example.test", "role"),
        ("ada@münchen.test", "domain"),
    ],
)
def test_domains_and_roles(address: str, code: str) -> None:
    user = make_user()
    for kind, value in (("domain", "@Rival.test"), ("role", "info@"), ("role", "a_b"), ("domain", "münchen.test")):
        assert add_pattern(kind, value, source="by_hand", now=NOW, actor=user)
    assert not add_pattern("role", "INFO", source="by_hand", now=NOW, actor=user)
    assert why(address) == code


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", ""),
        ("domain", "test"),
        ("domain", "a b.test"),
        ("role", "a@b"),
        ("role", "%"),
        ("domain", "x" * 300 + ".test"),
    ],
)
def test_what_is_no_domain_or_role(kind: str, value: str) -> None:
    before = SuppressionPattern.objects.count()
    with pytest.raises(Refused):
        add_pattern(kind, value, source="by_hand", now=NOW, actor=None)
    assert SuppressionPattern.objects.count() == before


def test_a_file_of_addresses() -> None:
    suppress("known@example.test", reason="bounced", source="smtp", now=NOW)
    found = take(
        "E-Mail,Reason\na@example.test,\nknown@example.test,by_hand\nno address,\nb@example.test,boredom\n\n@rival.test,\n"
    )
    assert (found.read, found.added, found.known, [line for line, _why in found.rejected]) == (5, 2, 1, [4, 5])
    assert (why("a@example.test"), why("known@example.test"), why("x@rival.test")) == ("by_hand", "bounced", "domain")
    assert AuditEntry.objects.get(verb="imported").detail == {"file": "list.csv", "read": 5, "added": 2, "rejected": 2}


def test_a_file_without_head_and_one_that_is_none() -> None:
    assert take("a@example.test\nb@example.test\n").added == 2
    with pytest.raises(Refused):
        take("")
    with pytest.raises(Refused):
        take('a@example.test\n"' + "x" * 200_000)


def test_unsubscribed_in_a_file_is_a_matter_of_the_ledger() -> None:
    assert (
        take(
            f"address,address_hash,reason\na@example.test,,unsubscribed\n,{address_hash('b@example.test')},unsubscribed\n"
        ).added
        == 2
    )
    assert (why("a@example.test"), why("b@example.test")) == ("withdrawn", "withdrawn")
    assert (Suppression.objects.count(), ConsentEvent.objects.count()) == (0, 2)


def test_out_and_in_again_is_the_same() -> None:
    suppress("a@example.test", reason="complained", source="provider", now=NOW)
    suppress("", digest=address_hash("b@example.test"), reason="bounced", source="smtp", now=NOW)
    add_pattern("domain", "rival.test", source="by_hand", now=NOW, actor=None)
    text = io.StringIO()
    csv.writer(text).writerows(export_rows())
    before = list(export_rows())
    Suppression.objects.all().delete()
    SuppressionPattern.objects.filter(kind="domain").delete()
    assert take(text.getvalue()).added == 3
    assert why("b@example.test") == "bounced"
    assert [row[:4] for row in before if row[2] != "domain"] == [row[:4] for row in export_rows() if row[2] != "domain"]
    assert take(text.getvalue()).added == 0


def test_what_came_out_comes_back_letter_by_letter() -> None:
    """Also cells that a spreadsheet would run, moments, sources; a mark of the future is none."""
    SuppressionPattern.objects.all().delete()  # those that an instance begins with are of today
    suppress("=cmd@example.test", reason="by_hand", source="=HYPERLINK(1)", now=NOW)
    suppress("+1@example.test", reason="complained", source="-", now=NOW)
    add_pattern("role", "sales", source="@fair", now=NOW, actor=None)
    before = list(export_rows())
    text = io.StringIO()
    csv.writer(text).writerows([safe_cell(cell) for cell in row] for row in before)
    Suppression.objects.all().delete()
    SuppressionPattern.objects.all().delete()
    later = NOW + timedelta(days=90)
    assert import_file(io.StringIO(text.getvalue()), file_name="x.csv", actor=make_user(), now=later).rejected == []
    assert list(export_rows()) == before
    assert take("address,since\nx@example.test,2999-01-01T00:00:00+00:00\ny@example.test,when?\n").added == 2
    assert set(Suppression.objects.filter(address__in=["x@example.test", "y@example.test"]).values_list("since")) == {
        (NOW,)
    }


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_spreadsheets_of_other_countries(delimiter: str) -> None:
    assert take(f"Email{delimiter}Reason\na@example.test{delimiter}complained\n").added == 1
    assert why("a@example.test") == "complained"


def test_a_graver_reason_takes_the_place_of_a_lighter_one() -> None:
    def said(reason: str, actor: User | None = None) -> tuple[bool, str]:
        is_news = suppress("ada@example.test", reason=reason, source=reason, now=NOW, actor=actor)
        row = Suppression.objects.get()
        assert row.source == row.reason
        return is_news, row.reason

    assert said("bounced") == (True, "bounced")
    assert said("by_hand") == (False, "bounced")  # a file of another system
    assert said("by_hand", make_user()) == (True, "by_hand")
    assert said("bounced") == (False, "by_hand")
    assert said("complained") == (True, "complained")
    assert said("by_hand", make_user()) == (False, "complained")
    with pytest.raises(Refused):
        release(Suppression.objects.get(), actor=make_user(), now=NOW)


def test_two_lines_about_one_address_count_by_the_graver() -> None:
    found = take("address,reason\na@example.test,by_hand\nA@EXAMPLE.test,complained\na@example.test,bounced\n")
    assert (found.read, found.added, found.known, why("a@example.test")) == (3, 1, 2, "complained")


def test_a_long_file_is_taken_by_pages_and_marks_whom_it_is_about(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """More rows than a server has locks for one transaction."""
    listed, left = make_contact("7@example.test"), make_contact("left@example.test")
    clear_marks()
    rows = [f"{number}@example.test,," for number in range(12_000)]
    rows.insert(5_000, f",{address_hash('left@example.test')},unsubscribed")
    found = take("\n".join(["email,address_hash,reason", *rows]))
    assert (found.read, found.added, found.known, found.rejected) == (12_001, 12_001, 0, [])
    assert (why("11999@example.test"), why("left@example.test")) == ("by_hand", "withdrawn")
    assert {mark.contact_id for mark in Mark.objects.all()} == {listed.pk, left.pk}
    assert AuditEntry.objects.count() == 1
    user = make_user()
    with django_assert_num_queries(6):  # a page: savepoint, locks, rows, contacts, its end; the audit
        text = io.StringIO("a@example.test\nb@example.test\nc@example.test\n")
        assert import_file(text, file_name="x.csv", actor=user, now=NOW).added == 3


def test_nothing_is_kept_of_a_file_that_breaks_off() -> None:
    broken = "\n".join([*(f"{number}@example.test" for number in range(1_200)), '"' + "x" * 200_000])
    with pytest.raises(Refused):
        take(broken)
    assert not Suppression.objects.exists()


def test_everything_is_off_by_a_file_and_on_again_only_by_the_person() -> None:
    text = "address,reason\na@example.test,unsubscribed\n"
    give_consent("a@example.test", purposes=["product-news"], source="form", now=NOW, by_person=True)
    assert [take(text).added, take(text).added] == [1, 0]
    assert why("a@example.test") == "withdrawn"
    give_consent("a@example.test", purposes=["product-news"], source="form", now=NOW, by_person=True)
    assert why("a@example.test") == ""
    assert take(text).added == 1  # a file that is brought in after that says no again
    assert why("a@example.test") == "withdrawn"
