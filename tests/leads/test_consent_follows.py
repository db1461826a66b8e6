"""A no belongs to the person: it follows a change of address, whoever makes it; and the last word is the last, whatever the clocks say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from leads import consent, intake, merging
from leads.actions import change_contact, delete_contact
from leads.addresses import address_hash
from leads.consent import give_consent, set_wish, state_of, withdraw_consent
from leads.intake import Circumstances, Row
from leads.models import ConsentEvent, Contact, Mark, Suppression
from leads.queries_consent import why_blocked
from leads.queries_intake import shadow
from leads.suppression import suppress
from tests.makers import NOW, clear_marks, make_contact

pytestmark = pytest.mark.django_db

OLD, NEW = "ada@old.test", "ada@new.test"
DAY = timedelta(days=1)
LATER = NOW + DAY


def by_hand(person: Contact) -> None:
    change_contact(person, changes={"email": NEW.upper()}, actor=None, now=LATER)


def by_file(person: Contact) -> None:
    row = Row(1, {"external_id": person.external_id, "email": NEW})
    assert intake.take("contacts", [row], Circumstances(LATER)).updated == 1


def by_merge(person: Contact) -> None:
    merging.merge_contacts(make_contact(NEW), gone=person, take={}, actor=None, now=LATER)


WAYS = pytest.mark.parametrize("move", [by_hand, by_file, by_merge])


def why(address: str, purpose: str = "newsletter") -> str:
    return why_blocked([address], purpose).get(address, "")


def give(address: str, *purposes: str, **values: Any) -> list[str]:
    known: dict[str, Any] = {"source": "form", "now": NOW, "by_person": True}
    return give_consent(address, purposes=purposes or ["newsletter"], **(known | values))


@WAYS
def test_a_no_goes_along_and_a_yes_stays(move: Callable[[Contact], None]) -> None:
    person = make_contact(OLD)
    give(OLD, "newsletter", "events")
    withdraw_consent(OLD, purpose="events", source="preference_page", now=NOW, contact=person)
    withdraw_consent(OLD, purpose="product-news", source="preference_page", now=NOW, contact=person)
    clear_marks()
    move(person)
    assert {slug: why(NEW, slug) for slug in ("newsletter", "events", "product-news", "one-to-one")} == {
        "newsletter": "no_consent",
        "events": "withdrawn",
        "product-news": "withdrawn",
        "one-to-one": "",
    }
    row = ConsentEvent.objects.get(address_hash=address_hash(NEW), purpose="events")
    assert (row.contact, row.proof["former_address"]) == (Contact.objects.get(), address_hash(OLD))
    assert (Contact.objects.get().pk, Mark.Facet.CONSENT) in Mark.objects.values_list("contact_id", "facet")
    assert state_of(OLD, "newsletter") == "given"  # nobody took that back


@WAYS
def test_everything_off_stays_off_unless_the_new_address_said_no_too(move: Callable[[Contact], None]) -> None:
    person = make_contact(OLD)
    withdraw_consent(OLD, source="one_click", now=NOW, contact=person)
    withdraw_consent(NEW, source="one_click", now=NOW)
    move(person)
    assert ConsentEvent.objects.filter(address_hash=address_hash(NEW)).count() == 1  # said already
    assert why(NEW, "one-to-one") == "withdrawn"


@WAYS
def test_complaints_and_wishes_go_along_and_a_bounce_does_not(move: Callable[[Contact], None]) -> None:
    for reason, kept in (("complained", "complained"), ("by_hand", "by_hand"), ("bounced", "")):
        person = make_contact(OLD)
        suppress(OLD, reason=reason, source="test", now=NOW)
        set_wish(address_hash(OLD), now=NOW, pace="monthly", language="ko", tracking="no", paused_until=NOW + 9 * DAY)
        set_wish(address_hash(NEW), now=NOW, pace="weekly", language="de", tracking="yes")
        move(person)
        assert why(NEW, "one-to-one") == kept
        wish = consent.wish(address_hash(NEW))
        assert (wish.pace, wish.language, wish.tracking, wish.paused_until) == ("monthly", "de", "no", NOW + 9 * DAY)
        delete_contact(Contact.objects.get(), actor=None, now=NOW)
        Suppression.objects.all().delete()


@WAYS
def test_a_complaint_is_not_hidden_behind_a_bounce(move: Callable[[Contact], None]) -> None:
    """Whoever takes the mended mailbox off the list would write to somebody who complained."""
    person = make_contact(OLD)
    suppress(OLD, reason="complained", source="test", now=NOW)
    suppress(NEW, reason="bounced", source="test", now=NOW)
    move(person)
    assert why(NEW) == "complained"


def test_a_trial_of_a_file_says_nothing_for_anybody() -> None:
    person = make_contact(OLD)
    withdraw_consent(OLD, source="one_click", now=NOW)
    with shadow() as shade:
        row = Row(1, {"external_id": person.external_id, "email": NEW})
        assert intake.take("contacts", [row], Circumstances(LATER, shadow=shade)).updated == 1
    assert ConsentEvent.objects.count() == 1


def test_there_and_back_again() -> None:
    """The address that was left keeps its ledger; who takes it over later finds it as it was."""
    person = make_contact(OLD)
    give(OLD)
    by_hand(person)
    withdraw_consent(NEW, source="one_click", now=LATER, contact=person)
    change_contact(person, changes={"email": OLD}, actor=None, now=LATER + DAY)
    assert (why(OLD), why(NEW)) == ("withdrawn", "withdrawn")


def test_a_no_to_an_old_mail_holds_for_the_address_of_today() -> None:
    person = make_contact(OLD)
    by_hand(person)
    assert withdraw_consent(OLD, purpose="one-to-one", source="one_click", now=LATER, contact=person, proof={"n": 1})
    assert (why(OLD, "one-to-one"), why(NEW, "one-to-one"), why(NEW, "product-news")) == ("withdrawn", "withdrawn", "")
    here = ConsentEvent.objects.get(address_hash=address_hash(NEW))
    assert here.proof == {"n": 1, "former_address": address_hash(OLD)}
    assert not withdraw_consent(OLD, purpose="one-to-one", source="one_click", now=LATER, contact=person)


# --- The last word --------------------------------------------------------------------------------------------------------


WORDS = [("newsletter", "given"), ("marketing", "given"), ("newsletter", "withdrawn"), ("marketing", "withdrawn")]


def test_of_one_moment_the_word_that_was_written_last_counts_on_pages_and_in_the_claim() -> None:
    for number, words in enumerate(permutations(WORDS, 3)):
        address = f"ada{number}@example.test"
        for purpose, state in words:
            ConsentEvent.objects.create(
                address_hash=address_hash(address), purpose=purpose, state=state, occurred_at=NOW, source="test"
            )
        last = words[-1][1]
        assert state_of(address, "newsletter") == last
        assert why(address) == ("withdrawn" if last == "withdrawn" else "")
        assert {one.purpose.slug: one.is_on for one in consent.standing(address)}["newsletter"] == (last == "given")


@pytest.mark.parametrize("purpose", ["newsletter", "marketing"])
def test_a_clock_that_is_behind_takes_no_word_from_a_no(purpose: str) -> None:
    """Two machines write one after the other; the second one's clock is late."""
    give(OLD, now=LATER)
    assert withdraw_consent(OLD, purpose=purpose, source="one_click", now=NOW)
    assert why(OLD) == "withdrawn"


def test_a_yes_that_is_older_than_a_no_is_kept_and_changes_nothing() -> None:
    withdraw_consent(OLD, source="one_click", now=LATER)
    assert give(OLD, now=NOW) == []
    assert why(OLD) == "withdrawn"
    assert ConsentEvent.objects.get(state="given").counts is False
    assert give(OLD, now=LATER) == ["newsletter"]
