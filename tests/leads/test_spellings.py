"""One mailbox has one spelling: whichever way an address is written, it is the same person, and their no holds."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import intake, suppression, values
from leads.addresses import address_hash
from leads.consent import set_wish, state_of, withdraw_consent
from leads.intake import Circumstances, Row
from leads.models import ConsentEvent, Contact, MailPreference, Suppression, SuppressionPattern
from leads.queries_consent import why_blocked
from leads.text import normal_address
from tests.makers import NOW, make_contact, make_user

ADA = "ada@müller.test"
SPELLINGS = [
    "Ada@MÜLLER.test",
    "ada@xn--mller-kva.test",
    "ADA@XN--MLLER-KVA.TEST",
    "ada@mu\u0308ller.test",
    "ada@ｍüller．test",
    "ada@müller。test",
    "a\u200bda@mü\u00adller.test\u200e",
    "\ufeffada@müller.test",
]


@pytest.mark.parametrize("written", SPELLINGS)
def test_one_spelling(written: str) -> None:
    assert values.email(written) == ADA


@pytest.mark.parametrize(
    "address",
    [
        "ada+news@example.test",  # another mailbox, as far as anybody but its server knows
        "xn--mller-kva@example.test",  # a name before the @ is not a domain
        "ada@xn--strae-oqa.test",  # would lead to strasse.test
        "ada@xn--zzzzzz99999.test",
        "ada@xn--a.test",
        "ada@xn--.test",
        "jürgen@example.test",
    ],
)
def test_what_is_not_another_spelling_stays(address: str) -> None:
    assert values.email(address) == address == normal_address(normal_address(address))


@given(st.text(st.characters(categories=["L", "N", "M", "Cf", "P"]), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_a_normal_address_is_its_own_spelling(text: str) -> None:
    once = normal_address(f"a@{text}.test")
    assert normal_address(once) == once


@pytest.mark.django_db
@pytest.mark.parametrize("written", SPELLINGS[:5])
def test_a_no_under_one_spelling_holds_for_all(written: str) -> None:
    withdraw_consent(written, source="one_click", now=NOW)
    row = Row(1, {"email": values.email(SPELLINGS[1])})
    assert intake.take("contacts", [row], Circumstances(NOW)).created == 1
    assert why_blocked([str(Contact.objects.get().email)], "one-to-one") == {ADA: "withdrawn"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT leads_address_hash(%s)", [values.email(written)])
        assert cursor.fetchone() == (address_hash(written),)


@pytest.mark.django_db
def test_a_domain_is_on_the_list_under_every_spelling() -> None:
    suppression.add_pattern("domain", "xn--mller-kva.test", source="test", now=NOW, actor=make_user())
    assert why_blocked([values.email(one) for one in SPELLINGS[:2]], "one-to-one") == {ADA: "domain"}


@pytest.mark.django_db
def test_what_was_kept_under_the_other_spelling_comes_along() -> None:
    """The migration, over rows of an instance that knew no spellings."""
    migration = importlib.import_module("leads.migrations.0016_international_addresses")
    old, twin, both = "ada@xn--mller-kva.test", "bob@xn--mller-kva.test", "bob@müller.test"
    for address in (old, twin, both):
        make_contact(address)
    with connection.cursor() as cursor:
        cursor.execute("SELECT leads_address_hash(%s)", [old])
        (digest,) = cursor.fetchone()
    ConsentEvent.objects.create(address_hash=digest, state="withdrawn", occurred_at=NOW, source="one_click")
    Suppression.objects.create(address_hash=digest, address=old, reason="complained", source="test", since=NOW)
    set_wish(digest, now=NOW, pace="weekly")
    SuppressionPattern.objects.create(kind="domain", value="xn--bcher-kva.test", source="test", since=NOW)
    with connection.schema_editor() as editor:
        migration.spell(apps, editor)
    assert set(Contact.objects.values_list("email", flat=True)) == {ADA, twin, both}
    assert (state_of(ADA, "newsletter"), why_blocked([ADA], "newsletter")) == ("withdrawn", {ADA: "complained"})
    assert MailPreference.objects.get(pk=address_hash(ADA)).pace == "weekly"
    assert SuppressionPattern.objects.filter(value="bücher.test").exists()
    assert why_blocked([twin, both], "product-news") == {twin: "by_hand"}
