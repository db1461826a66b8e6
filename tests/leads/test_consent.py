"""Consent by address and purpose: the last row that counts, a no that outlives everything, double opt-in, two addresses of one person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads import consent
from leads.actions import delete_contact
from leads.addresses import address_hash, keyed_hash, masked
from leads.consent import (
    ConsentRefused,
    ask_consent,
    confirm,
    fold_consent,
    give_consent,
    request_of,
    request_token,
    state_of,
    withdraw_consent,
)
from leads.countries import QUIET
from leads.models import ConsentEvent, ConsentRequest, ConsentWording, Mark, Purpose
from leads.queries_consent import why_blocked
from tests.makers import NOW, clear_marks, make_company, make_contact
from tests.segments.conditions.asking import field, who

pytestmark = pytest.mark.django_db

ADA = "ada@example.test"
LATER = NOW + timedelta(days=1)


def give(address: str = ADA, *purposes: str, **values: Any) -> list[str]:
    known: dict[str, Any] = {"source": "form:footer", "now": NOW, "by_person": True}
    return give_consent(address, purposes=purposes or ["newsletter"], **(known | values))


def why(address: str = ADA, purpose: str = "newsletter") -> str:
    return why_blocked([address], purpose).get(address, "")


def rows() -> list[tuple[str, str, bool]]:
    return list(ConsentEvent.objects.order_by("id").values_list("purpose", "state", "counts"))


def test_the_legal_basis_decides_where_nothing_was_said() -> None:
    Purpose.objects.create(slug="invoices", name="Invoices", basis="contract")
    assert {purpose: why(ADA, purpose) for purpose in ("newsletter", "product-news", "marketing", "invoices")} == {
        "newsletter": "no_consent",
        "product-news": "",
        "marketing": "",
        "invoices": "",
    }
    on = {one.purpose.slug: one.is_on for one in consent.standing(ADA)}
    assert on == {
        "marketing": True,
        "newsletter": False,
        "product-news": True,
        "events": False,
        "one-to-one": True,
        "invoices": True,
    }


@pytest.mark.parametrize(
    ("address", "country", "of_company", "is_quiet"),
    [
        ("ada@example.test", "DE", "", True),
        ("ada@example.test", "US", "DE", False),
        ("ada@example.test", "", "DE", True),
        ("ada@example.de", "", "US", False),
        ("ada@example.de", "", "", True),
        ("ada@example.co.uk", "", None, True),
        ("ada@example.eu", "", None, True),
        ("ada@example.com", "", None, False),
        ("nobody-here@example.de", None, None, True),
        ("nobody-here@example.test", None, None, False),
    ],
)
def test_where_a_purpose_is_quiet_only_a_yes_lets_mail_out(
    address: str, country: str | None, of_company: str | None, is_quiet: bool
) -> None:
    """The statement that claims mail and the pages say the same."""
    Purpose.objects.filter(slug="product-news").update(quiet_countries=list(QUIET))
    contact = None
    if country is not None:
        company = None if of_company is None else make_company(country=of_company)
        contact = make_contact(address, country=country, company=company)
    (stands,) = [one for one in consent.standing(address, contact) if one.purpose.slug == "product-news"]
    assert (why(address, "product-news"), stands.is_on) == (("quiet_country", False) if is_quiet else ("", True))
    give(address, "product-news")
    assert why(address, "product-news") == ""
    withdraw_consent(address, purpose="product-news", source="one_click", now=LATER)
    assert why(address, "product-news") == "withdrawn"


def test_quiet_countries_say_nothing_about_another_basis() -> None:
    Purpose.objects.create(slug="invoices", name="Invoices", basis="contract", quiet_countries=list(QUIET))
    Purpose.objects.filter(slug="newsletter").update(quiet_countries=list(QUIET))
    assert (why("ada@example.de", "invoices"), why("ada@example.de")) == ("", "no_consent")
    assert (why("", "product-news"), why("ada", "product-news")) == ("no_address", "")


def test_yes_and_no_by_purpose() -> None:
    contact = make_contact(ADA)
    assert give(ADA, "newsletter", "events") == ["newsletter", "events"]
    assert give() == []
    assert (why(), why(ADA, "events")) == ("", "")
    assert withdraw_consent(ADA, purpose="newsletter", source="preference_page", now=LATER)
    assert not withdraw_consent("ADA@example.test ", purpose="newsletter", source="one_click", now=LATER)
    assert (why(), why(ADA, "events"), why(ADA, "product-news")) == ("withdrawn", "", "")
    assert withdraw_consent(ADA, source="one_click", now=LATER)
    assert {why(ADA, slug) for slug in ("newsletter", "events", "product-news", "marketing")} == {"withdrawn"}
    assert give(ADA, "events", now=LATER + timedelta(hours=1)) == ["events"]
    assert (why(ADA, "events"), why(), state_of(ADA, "marketing")) == ("", "withdrawn", "withdrawn")
    assert withdraw_consent(ADA, source="one_click", now=LATER + timedelta(hours=2))
    assert why(ADA, "events") == "withdrawn"
    assert {event.contact_id for event in ConsentEvent.objects.all()} == {contact.pk}


def test_only_the_person_takes_a_no_back() -> None:
    withdraw_consent(ADA, purpose="newsletter", source="one_click", now=NOW)
    assert give(source="import", by_person=False, now=LATER) == []
    assert why() == "withdrawn"
    assert rows() == [("newsletter", "withdrawn", True), ("newsletter", "given", False)]
    assert give("new@example.test", source="import", by_person=False) == ["newsletter"]
    assert give(now=LATER) == ["newsletter"]
    assert why() == ""


def test_a_no_outlives_the_contact_and_comes_back_with_the_address() -> None:
    contact = make_contact(ADA)
    withdraw_consent(ADA, source="one_click", now=NOW)
    delete_contact(contact, actor=None, now=LATER)
    make_contact("ADA@Example.test")
    assert why("ADA@Example.test", "product-news") == "withdrawn"
    event = ConsentEvent.objects.get()
    assert (event.contact, event.address_hash) == (None, address_hash(ADA))
    assert ADA not in str(ConsentEvent.objects.values())


def test_the_hash_has_a_key() -> None:
    import hashlib

    assert address_hash(ADA) == address_hash(" ADA@example.TEST ") != hashlib.sha256(ADA.encode()).hexdigest()
    assert keyed_hash("10.0.0.1") == keyed_hash("10.0.0.1") != keyed_hash("10.0.0.2")
    assert masked(ADA) == "a…@example.test"


def test_rows_carry_wording_and_proof_and_leave_marks() -> None:
    contact = make_contact(ADA)
    purpose = Purpose.objects.get(slug="newsletter")
    ConsentWording.objects.create(purpose=purpose, number=1, text="Yes.", since=NOW)
    ConsentWording.objects.create(purpose=purpose, number=2, text="Yes, please.", since=NOW)
    clear_marks()
    give(proof=consent.Proof(ip="10.0.0.1", agent="Browser", note="").as_json())
    event = ConsentEvent.objects.get()
    assert (event.wording, event.source) == ("newsletter-2", "form:footer")
    assert event.proof == {"ip_hash": keyed_hash("10.0.0.1"), "agent": "Browser"}
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.CONSENT)]


def test_unknown_purposes_are_refused() -> None:
    Purpose.objects.filter(slug="events").update(archived_at=NOW)
    for purposes in (["no-such"], ["events"], []):
        with pytest.raises(ConsentRefused):
            give_consent(ADA, purposes=purposes, source="x", now=NOW, by_person=True)
    assert rows() == []


# --- Double opt-in --------------------------------------------------------------------------------------------------------


def ask(now: Any = NOW, *purposes: str) -> ConsentRequest:
    found = ask_consent(ADA, purposes=purposes or ["newsletter"], source="form:footer", now=now)
    assert found is not None
    return found


def test_asked_is_not_given_and_the_link_works_once() -> None:
    request = ask()
    assert (why(), rows()) == ("not_confirmed", [("newsletter", "asked", True)])
    token = request_token(request)
    found = request_of(token, now=LATER)
    assert found == request
    assert confirm(request, now=LATER, proof={"ip_hash": "x"}) == ["newsletter"]
    assert confirm(request, now=LATER, proof={}) == []
    assert request_of(token, now=LATER) is None
    assert why() == ""
    event = ConsentEvent.objects.get(state="given")
    assert (event.source, event.proof["request"], event.proof["ip_hash"]) == ("confirmed:form:footer", request.pk, "x")


def test_a_link_expires_and_cannot_be_forged() -> None:
    request = ask()
    token = request_token(request)
    late = NOW + timedelta(days=consent.DAYS_TO_CONFIRM)
    assert request_of(token, now=late) is None
    assert confirm(request, now=late, proof={}) == []
    for forged in (token[:-1], f"{request.pk + 1}{token[token.index('.') :]}", "", "x", "1.", ".."):
        assert request_of(forged, now=NOW) is None
    assert why() == "not_confirmed"


def test_who_withdrew_is_asked_again_but_stays_off_until_confirmed() -> None:
    withdraw_consent(ADA, source="one_click", now=NOW)
    request = ask(LATER)
    assert (why(), rows()[-1]) == ("withdrawn", ("newsletter", "asked", False))
    confirm(request, now=LATER + timedelta(hours=1), proof={})
    assert (why(), why(ADA, "events")) == ("", "withdrawn")


@pytest.mark.parametrize(("refused", "is_closed"), [("newsletter", True), ("marketing", True), ("events", False)])
def test_a_no_answers_the_questions_that_were_asked_before_it(refused: str, is_closed: bool) -> None:
    """The old link takes nothing back; a new question may."""
    asked = ask()
    withdraw_consent(ADA, purpose=refused, source="one_click", now=NOW + timedelta(hours=1))
    assert (request_of(request_token(asked), now=LATER) is None) is is_closed
    assert ConsentRequest.objects.get().wants_mail is not is_closed
    if is_closed:
        assert confirm(asked, now=LATER, proof={}) == []
        assert why() == "withdrawn"
        assert confirm(ask(LATER), now=LATER, proof={}) == ["newsletter"]
        assert why() == ""


def test_six_questions_without_an_answer_are_enough_for_a_month() -> None:
    moments = [NOW + timedelta(days=2 * number) for number in range(7)]
    asked = [ask_consent(ADA, purposes=["newsletter"], source="form", now=at) for at in moments]
    assert [one is not None for one in asked] == [True] * 6 + [False]
    assert ask_consent(ADA, purposes=["newsletter"], source="form", now=NOW + timedelta(days=31)) is not None


def test_nobody_is_flooded_with_questions() -> None:
    for _each in range(consent.MOST_REQUESTS):
        ask()
    assert ask_consent(ADA, purposes=["newsletter"], source="form", now=NOW) is None
    assert len(rows()) == 1
    later = NOW + timedelta(days=2)
    confirm(ask(later), now=later, proof={})
    assert ask_consent(ADA, purposes=["newsletter"], source="form", now=later) is None


# --- Two addresses ---------------------------------------------------------------------------------------------------------


def test_merging_carries_a_no_over_and_never_a_yes() -> None:
    old, new = "old@example.test", "new@example.test"
    kept = make_contact(new)
    give(old, "events")
    withdraw_consent(old, purpose="newsletter", source="one_click", now=NOW)
    withdraw_consent(old, purpose="product-news", source="one_click", now=NOW)
    withdraw_consent(new, purpose="product-news", source="one_click", now=NOW)
    give(new, "newsletter", now=NOW - timedelta(days=1))
    clear_marks()
    assert fold_consent(gone=old, kept=new, now=LATER) == ["newsletter"]
    assert (why(new, "newsletter"), why(new, "events"), why(old, "newsletter")) == (
        "withdrawn",
        "no_consent",
        "withdrawn",
    )
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(kept.pk, Mark.Facet.CONSENT)]
    assert fold_consent(gone=old, kept=new, now=LATER) == []


@pytest.mark.parametrize(("gone", "kept"), [(None, ADA), (ADA, None), (ADA, "ADA@example.test")])
def test_there_may_be_nothing_to_fold(gone: str | None, kept: str | None) -> None:
    withdraw_consent(ADA, source="one_click", now=NOW)
    assert fold_consent(gone=gone, kept=kept, now=LATER) == []


# --- Cost -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 9])
def test_the_cost_of_a_word(others: int) -> None:
    for number in range(others):
        give(f"n{number}@example.test")
    with CaptureQueriesContext(connection) as captured:
        withdraw_consent(ADA, source="one_click", now=NOW)
    assert len(captured) == 7  # contact, savepoint twice, lock, states, row, questions


def test_rules_read_what_counts() -> None:
    make_contact(ADA, first_name="ada")
    withdraw_consent(ADA, purpose="newsletter", source="one_click", now=NOW - timedelta(days=2))
    give(source="import", by_person=False, now=NOW - timedelta(days=1))
    assert who(field("consent.newsletter", "is", "withdrawn")) == {"ada"}
    assert who(field("consent.newsletter", "is", "given")) == set()
