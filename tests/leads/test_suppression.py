"""The suppression list: addresses, domains, roles; files in and out."""

from __future__ import annotations

import csv
import io

import pytest

from leads import suppression
from leads.actions import Refused
from leads.addresses import address_hash
from leads.models import AuditEntry, ConsentEvent, Mark, Suppression, SuppressionPattern
from leads.queries_consent import why_blocked
from leads.suppression import add_pattern, export_rows, import_file, release, suppress
from tests.makers import NOW, clear_marks, make_contact, make_user

pytestmark = pytest.mark.django_db


def why(address: str) -> str:
    return why_blocked([address], "product-news").get(address, "")


def take(text: str) -> suppression.Taken:
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
