"""A broadcast's audience is frozen and counted with everybody who stays out; then everybody in it gets one mail, at their time, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import ProtectedError

from leads import merging, person_file
from leads.actions import withdraw_consent
from leads.addresses import address_hash
from leads.models import AuditEntry, Contact, MailPreference, Purpose
from leads.suppression import suppress
from nurture import actions as nurture_actions
from nurture.broadcasts import actions, job, results, sheet, timing, winner
from nurture.mailing import sending
from nurture.models import Broadcast, BroadcastRecipient, MailBudget, MailResponse, Sending, TrackingDefaults
from nurture.queries_around import Arm
from segments.actions import InUse, archive_segment
from segments.renaming import rename_segment
from tests.makers import NOW, make_contact, make_segment, make_user
from tests.nurture.broadcasting import audience, count_audience, mailed, send, work, write
from tests.nurture.makers import make_people, make_template, put_in, set_workspace

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(name="Plant Metrics", postal_address="Hauptstr. 1", sender_email="ada@plant.test", timezone="UTC")
    cache.clear()
    yield
    cache.clear()


def let_out(now: datetime = NOW) -> None:
    """Mail leaves, into the local outbox."""
    sending.send_due(now)


def places(broadcast: Broadcast) -> dict[int, tuple[str, str]]:
    """contact -> state and reason."""
    rows = BroadcastRecipient.objects.filter(broadcast=broadcast)
    return {row.contact_id: (row.state, row.why) for row in rows}


# --- Counting -----------------------------------------------------------------------------------------------------------------------


def test_everybody_of_the_segments_is_in_once_or_out_for_a_reason() -> None:
    MailBudget.objects.create(pk=1, mails=1, days=7)
    fine, both, kept_out, nowhere, said_no, bounced, resting, had_one = make_people(8)
    Contact.objects.filter(pk=nowhere.pk).update(email=None)
    withdraw_consent(said_no.email or "", source="test", now=NOW)
    suppress(bounced.email or "", reason="bounced", source="test", now=NOW)
    MailPreference.objects.create(
        address_hash=address_hash(resting.email or ""), paused_until=NOW + HOUR, updated_at=NOW
    )
    Sending.objects.create(
        key="earlier", contact=had_one, template=make_template(), address=had_one.email or "", state="sent",
        queued_at=NOW, due_at=NOW, claimed_at=NOW - 24 * HOUR, sent_at=NOW - 24 * HOUR,
    )  # fmt: skip
    one, other = audience(fine, both, kept_out, nowhere, said_no), audience(both, bounced, resting, had_one)
    broadcast = count_audience(write(one, other, out_of=[audience(kept_out)]))
    assert places(broadcast) == {
        fine.pk: ("waiting", ""),
        both.pk: ("waiting", ""),
        kept_out.pk: ("out", "kept_out"),
        nowhere.pk: ("out", "no_address"),
        said_no.pk: ("out", "withdrawn"),
        bounced.pk: ("out", "bounced"),
        resting.pk: ("out", "paused"),
        had_one.pk: ("out", "frequency"),
    }
    reasons = ["kept_out", "no_address", "withdrawn", "bounced", "paused", "frequency"]
    assert broadcast.counts == {"in": 2, "in:a": 2, **dict.fromkeys(reasons, 1)}
    assert {row.reason for row in sheet.left_out(broadcast)} == set(reasons)
    assert Sending.objects.filter(broadcast=broadcast).count() == 0


def test_consent_is_asked_for_the_purpose_of_the_broadcast() -> None:
    person = make_contact()
    Purpose.objects.update_or_create(slug="events", defaults={"name": "Events", "basis": "consent"})
    assert count_audience(write(audience(person), purpose="events")).counts == {"in": 0, "no_consent": 1}
    assert count_audience(write(audience(person))).counts == {"in": 1, "in:a": 1}


def test_one_address_gets_one_mail() -> None:
    """A database server whose locale folds ASCII only lets both in; consent, as every address, is folded by Unicode."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX leads_contact_email")
    first, second = make_people(2)
    Contact.objects.filter(pk=first.pk).update(email="ÄDA@example.test")
    Contact.objects.filter(pk=second.pk).update(email="äda@example.test")
    broadcast = count_audience(write(audience(first, second)))
    assert broadcast.counts == {"in": 1, "in:a": 1, "same_address": 1}
    assert places(broadcast) == {first.pk: ("waiting", ""), second.pk: ("out", "same_address")}


def test_outside_the_budget_only_the_readers_own_pace_holds() -> None:
    MailBudget.objects.create(pk=1, mails=1, days=7)
    usual, slow = make_people(2)
    MailPreference.objects.create(address_hash=address_hash(slow.email or ""), pace="weekly", updated_at=NOW)
    for person in (usual, slow):
        Sending.objects.create(
            key=f"earlier-{person.pk}", contact=person, template=make_template(), address=person.email or "",
            state="sent", queued_at=NOW, due_at=NOW, claimed_at=NOW - HOUR, sent_at=NOW - HOUR,
        )  # fmt: skip
    broadcast = send(write(audience(usual, slow), is_budgeted=False))
    assert broadcast.counts == {"in": 1, "in:a": 1, "frequency": 1}
    work()
    let_out()
    assert mailed(broadcast) == {"sent": 1}


def test_an_edit_after_the_count_needs_a_new_one() -> None:
    one, other = make_people(2)
    broadcast = count_audience(write(audience(one)))
    segment = broadcast.into.get()
    put_in(segment, [other])
    assert places(broadcast) == {one.pk: ("waiting", "")}  # frozen
    template = broadcast.variants.get().template
    values = {name: getattr(broadcast, name) for name in actions.FIELDS}
    edited = actions.save_broadcast(
        broadcast, variants=[(template, 1)], into=[segment], out_of=[], values=values, version=broadcast.version,
        actor=None, now=NOW,
    )  # fmt: skip
    assert edited.state == "draft"
    with pytest.raises(nurture_actions.NurtureRefused):
        actions.send(edited, version=edited.version, actor=None, now=NOW)
    assert count_audience(edited).counts == {"in": 2, "in:a": 2}
    with pytest.raises(nurture_actions.EditedMeanwhile):
        actions.send(edited, version=broadcast.version, actor=None, now=NOW)


def test_audiences_are_counted_page_by_page_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_people(25)
    first, second = audience(*people[:15]), audience(*people[10:])
    broadcast = write(first, second, variants=[(make_template(), 1), (make_template(), 1)])
    actions.count(broadcast, actor=None, now=NOW)
    while job.carry_on(broadcast.pk, NOW, size=4):
        pass
    broadcast.refresh_from_db()
    assert broadcast.counts == {"in": 25, "in:a": 13, "in:b": 12}
    assert Counter(broadcast.recipients.values_list("variant", flat=True)) == {"a": 13, "b": 12}


# --- Sending ------------------------------------------------------------------------------------------------------------------------


def test_everybody_gets_one_mail() -> None:
    people = make_people(5)
    broadcast = send(write(audience(*people)))
    work()
    broadcast.refresh_from_db()
    assert (broadcast.state, broadcast.ended_at, broadcast.counts["queued"]) == ("done", NOW, 5)
    keys = set(Sending.objects.filter(broadcast=broadcast).values_list("key", flat=True))
    assert keys == {f"broadcast:{broadcast.pk}:{person.pk}" for person in people}
    let_out()
    assert results.progress(broadcast) == results.Progress(total=5, sent=5)
    verbs = AuditEntry.objects.filter(object_kind="broadcast").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["created", "counted", "sent"]


def test_who_says_no_or_goes_meanwhile_gets_nothing() -> None:
    stays, says_no, goes, loses_address = make_people(4)
    broadcast = send(write(audience(stays, says_no, goes, loses_address)))
    goes.delete()
    Contact.objects.filter(pk=loses_address.pk).update(email=None)
    work()
    withdraw_consent(says_no.email or "", source="test", now=NOW)
    let_out()
    broadcast.refresh_from_db()
    assert results.progress(broadcast) == results.Progress(total=4, sent=1, not_sent=2, gone=1)
    assert results.reasons(broadcast) == [
        (str(sending.WHY["no_address"]), 1),
        (str(sending.WHY["withdrawn"]), 1),
    ]


def test_what_keeps_it_from_being_sent() -> None:
    broadcast = count_audience(write(audience(make_contact())))
    set_workspace(postal_address="")
    with pytest.raises(nurture_actions.NurtureRefused, match="postal address"):
        actions.send(broadcast, version=broadcast.version, actor=None, now=NOW)
    set_workspace(postal_address="Hauptstr. 1")
    empty = count_audience(write(audience()))
    with pytest.raises(nurture_actions.NurtureRefused, match="Nobody would get it"):
        actions.send(empty, version=empty.version, actor=None, now=NOW)
    silent = count_audience(
        write(audience(make_contact()), variants=[(make_template("{{ contact.city }}"), 1)]),
    )
    with pytest.raises(nurture_actions.NurtureRefused, match="no subject"):
        actions.send(silent, version=silent.version, actor=None, now=NOW)
    actions.send(broadcast, version=broadcast.version, actor=None, now=NOW)
    broadcast.refresh_from_db()
    assert broadcast.state == "going"


def test_at_the_wanted_rate() -> None:
    broadcast = send(write(audience(*make_people(200)), per_hour=60))

    def queued(after: timedelta) -> int:
        work(NOW + after)
        return Sending.objects.filter(broadcast=broadcast).count()

    minute = timedelta(minutes=1)
    assert queued(timedelta()) == 1
    assert queued(minute / 2) == 1
    assert queued(minute) == 2
    assert queued(3 * minute) == 3  # a worker that was away catches up on a minute, not on all
    assert queued(4 * minute) == 4
    actions.pause(broadcast, actor=None, now=NOW + 5 * minute)
    assert queued(90 * minute) == 4
    actions.resume(broadcast, actor=None, now=NOW + 100 * minute)
    assert queued(100 * minute) == 5


def test_a_rate_of_many_a_second() -> None:
    broadcast = send(write(audience(*make_people(30)), per_hour=36_000))
    work()
    for second in range(1, 3):
        work(NOW + timedelta(seconds=second))
        assert Sending.objects.filter(broadcast=broadcast).count() == 1 + 10 * second


def test_at_a_moment() -> None:
    broadcast = send(write(audience(make_contact()), timing="at", starts_at=NOW + HOUR))
    assert work() == 0
    assert work(NOW + HOUR - timedelta(seconds=1)) == 0
    work(NOW + HOUR)
    assert mailed(broadcast) == {"queued": 1}


ZONES = {"Asia/Tokyo": 9, "": 0, "America/New_York": -5, "Nowhere/Land": 0}


@pytest.mark.parametrize(("late", "tokyo"), [("at_once", 0), ("next_day", 12)])
def test_at_an_hour_of_each_readers_clock(late: str, tokyo: int) -> None:
    """NOW is Monday 12:00 UTC; nine in the morning is over in Tokyo and London."""
    people = {zone: make_contact(timezone=zone) for zone in ZONES}
    broadcast = send(
        write(audience(*people.values()), timing="local", local_on=date(2026, 3, 2), local_time=time(9), late=late)
    )
    work()
    due = {row.contact_id: row.due_at for row in broadcast.recipients.filter(state="waiting")}
    new_york = datetime(2026, 3, 2, 14, tzinfo=UTC)
    if late == "at_once":
        assert due == {people["America/New_York"].pk: new_york}
        assert mailed(broadcast) == {"queued": 3}
    else:
        tomorrow = datetime(2026, 3, 3, 9, tzinfo=UTC)
        assert due == {
            people["Asia/Tokyo"].pk: NOW + tokyo * HOUR,
            people[""].pk: tomorrow,
            people["Nowhere/Land"].pk: tomorrow,
            people["America/New_York"].pk: new_york,
        }
    work(new_york)
    assert BroadcastRecipient.objects.get(contact=people["America/New_York"]).state == "queued"
    work(NOW + 24 * HOUR)
    broadcast.refresh_from_db()
    assert (broadcast.state, mailed(broadcast)) == ("done", {"queued": 4})


def test_it_begins_with_the_first_zone_that_has_the_day() -> None:
    broadcast = write(audience(make_contact()), timing="local", local_on=date(2026, 3, 10), local_time=time(9))
    send(broadcast)
    assert work(datetime(2026, 3, 9, 18, tzinfo=UTC)) == 0
    work(datetime(2026, 3, 9, 19, tzinfo=UTC))
    assert BroadcastRecipient.objects.get().due_at == datetime(2026, 3, 10, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        (date(2026, 3, 28), datetime(2026, 3, 28, 1, 30, tzinfo=UTC)),
        (date(2026, 3, 29), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # there is no 2:30: it is 3:30 then
        (date(2026, 10, 25), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # of two the first
    ],
)
def test_an_hour_that_a_change_of_the_clocks_leaves_out_or_repeats(day: date, moment: datetime) -> None:
    broadcast = Broadcast(timing="local", local_on=day, local_time=time(2, 30))
    assert timing.local_moment(broadcast, ZoneInfo("Europe/Berlin"), NOW) == moment


def test_only_in_the_hours_in_which_mail_leaves() -> None:
    set_workspace(mail_days=[], mail_start=time(8), mail_end=time(18))
    here, tokyo = make_contact(), make_contact(timezone="Asia/Tokyo")
    broadcast = send(write(audience(here, tokyo)))
    work()
    assert mailed(broadcast) == {"queued": 1}
    row = BroadcastRecipient.objects.get(state="waiting")
    assert (row.contact_id, row.due_at) == (tokyo.pk, datetime(2026, 3, 2, 23, tzinfo=UTC))


def test_only_so_many_wait_in_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "OUTBOX", 3)
    broadcast = send(write(audience(*make_people(7))))
    work()
    assert mailed(broadcast) == {"queued": 3}
    let_out()
    work()  # it breathes
    assert mailed(broadcast) == {"sent": 3}
    work(NOW + job.BREATH)
    assert mailed(broadcast) == {"sent": 3, "queued": 3}


# --- Switches -----------------------------------------------------------------------------------------------------------------------


def test_pause_goes_on_and_cancel_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "OUTBOX", 4)
    user = make_user()
    broadcast = send(write(audience(*make_people(10))))
    work()
    assert actions.pause(broadcast, actor=user, now=NOW) == 4
    let_out()
    work(NOW + HOUR)
    assert mailed(broadcast) == {"held": 4}
    assert actions.resume(broadcast, actor=user, now=NOW + HOUR) == 4
    let_out(NOW + HOUR)
    work(NOW + HOUR)
    assert mailed(broadcast) == {"sent": 4, "queued": 4}
    assert actions.cancel(broadcast, actor=user, now=NOW + HOUR) == 6
    let_out(NOW + 2 * HOUR)
    work(NOW + 2 * HOUR)
    broadcast.refresh_from_db()
    assert results.progress(broadcast) == results.Progress(total=10, sent=4, not_sent=6)
    with pytest.raises(nurture_actions.NurtureRefused):
        actions.resume(broadcast, actor=user, now=NOW)
    entry = AuditEntry.objects.get(verb="cancelled")
    assert (entry.actor, entry.detail) == (user, {"taken_back": 4, "not_queued": 2})


def test_what_a_worker_has_prepared_does_not_leave_after_the_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = send(write(audience(*make_people(2))))
    work()
    real = sending._claim

    def claim(*args: Any, **kwargs: Any) -> Any:
        if broadcast.state == "going":
            actions.cancel(broadcast, actor=None, now=NOW)
            broadcast.refresh_from_db()
        return real(*args, **kwargs)

    monkeypatch.setattr(sending, "_claim", claim)
    let_out()
    assert mailed(broadcast) == {"not_sent": 2}


def test_a_mail_that_comes_back_after_the_cancel_stays() -> None:
    """A temporary refusal of the server puts a mail back into the queue; the claim looks at the broadcast again."""
    broadcast = send(write(audience(make_contact())))
    work()
    Sending.objects.update(state="sending", lease_until=NOW + HOUR)
    actions.cancel(broadcast, actor=None, now=NOW)
    Sending.objects.update(state="queued", lease_until=None)
    let_out(NOW + HOUR)
    assert list(Sending.objects.values_list("state", "why_not")) == [("not_sent", "broadcast_cancelled")]


def test_one_that_was_not_sent_goes_with_its_audience() -> None:
    broadcast = count_audience(write(audience(*make_people(3))))
    actions.delete(broadcast, actor=None, now=NOW)
    work()
    assert (Broadcast.objects.count(), BroadcastRecipient.objects.count()) == (0, 0)
    sent = send(write(audience(make_contact())))
    with pytest.raises(nurture_actions.NurtureRefused):
        actions.delete(sent, actor=None, now=NOW)
    work()
    with pytest.raises(ProtectedError):
        sent.delete()


# --- Winners ------------------------------------------------------------------------------------------------------------------------


def compared(people: int, **values: Any) -> Broadcast:
    """Two variants, half of the people test, the winner after two hours."""
    variants = [(make_template(name="One"), 1), (make_template(name="Other"), 1)]
    rule = {"winner_by": "clicks", "test_percent": 50, "winner_hours": 2, "winner_at_least": 3, **values}
    broadcast = send(write(audience(*make_people(people, country="US")), variants=variants, **rule))
    work()
    let_out()
    broadcast.refresh_from_db()
    return broadcast


def respond(broadcast: Broadcast, key: str, *, clicks: int) -> None:
    template = broadcast.variants.get(key=key).template
    rows = Sending.objects.filter(broadcast=broadcast, template=template, state="sent").order_by("pk")[:clicks]
    MailResponse.objects.bulk_create([MailResponse(sending=row, opens=1, clicks=1) for row in rows])


def test_the_winner_goes_to_the_rest() -> None:
    broadcast = compared(20)
    assert broadcast.counts == {"in": 20, "in:a": 6, "in:b": 5, "in:": 9, "queued": 11}
    assert (broadcast.tested_at, broadcast.next_at, mailed(broadcast)) == (NOW, NOW + 2 * HOUR, {"sent": 11})
    respond(broadcast, "a", clicks=1)
    respond(broadcast, "b", clicks=3)
    work(NOW + HOUR)
    assert mailed(broadcast) == {"sent": 11}
    work(NOW + 2 * HOUR)
    broadcast.refresh_from_db()
    assert (broadcast.winner, broadcast.decided_at, broadcast.state) == ("b", NOW + 2 * HOUR, "done")
    rest = Sending.objects.filter(broadcast=broadcast, state="queued")
    assert [row.template.name for row in rest] == ["Other"] * 9
    assert Counter(broadcast.recipients.values_list("variant", flat=True)) == {"a": 6, "b": 14}
    assert AuditEntry.objects.get(verb="declared the winner of").detail == {"way": "b"}


def test_no_winner_before_each_variant_reached_enough() -> None:
    broadcast = compared(20, winner_at_least=6)
    respond(broadcast, "b", clicks=3)
    work(NOW + 2 * HOUR)
    broadcast.refresh_from_db()
    assert (broadcast.winner, broadcast.next_at) == ("", NOW + 2 * HOUR + winner.LOOK_EVERY)
    assert "choose it yourself" in results.test_words(broadcast, NOW + 2 * HOUR)
    cancelled = Broadcast(state="cancelled", test_percent=50, counts={"in:": 9})
    assert results.test_words(cancelled, NOW) == "It was cancelled before a winner was found; the rest gets nothing."
    actions.choose_winner(broadcast, "a", actor=None, now=NOW + 3 * HOUR)
    work(NOW + 3 * HOUR)
    broadcast.refresh_from_db()
    assert (broadcast.winner, broadcast.state, mailed(broadcast)) == ("a", "done", {"sent": 11, "queued": 9})
    with pytest.raises(nurture_actions.NurtureRefused):
        actions.choose_winner(broadcast, "b", actor=None, now=NOW + 3 * HOUR)


@pytest.mark.parametrize(
    ("clicks", "words"),
    [
        ((3, 1), "A is 10.0 points ahead; with so few people that may be luck."),
        ((2, 14), "B is 60.0 points ahead, more than luck explains (between 30.3 and 77.1, 95 % sure)."),
        ((2, 2), ""),
    ],
)
def test_who_is_ahead_and_whether_it_may_be_luck(clicks: tuple[int, int], words: str) -> None:
    variants = [make_template(), make_template()]
    broadcast = write(audience(), variants=[(one, 1) for one in variants], winner_by="clicks", test_percent=50)
    people = {
        template.pk: {"tracked": 20, "clicked": number, "opened": 20}
        for template, number in zip(variants, clicks, strict=True)
    }
    assert results.lead_words(broadcast, people) == words
    assert results.lead_words(broadcast, {}) == ""


def test_a_winner_by_a_condition() -> None:
    conditions = {"field": "contact.title", "op": "is", "value": "won"}
    broadcast = compared(20, winner_by="condition", winner_conditions=conditions)
    ones = Sending.objects.filter(broadcast=broadcast, template=broadcast.variants.get(key="a").template)
    Contact.objects.filter(pk__in=ones.values("contact")).update(title="won")
    work(NOW + 2 * HOUR)
    broadcast.refresh_from_db()
    assert broadcast.winner == "a"


def test_without_noted_clicks_no_winner_can_be_found() -> None:
    TrackingDefaults.objects.create(pk=1, is_on=False)
    with pytest.raises(nurture_actions.NurtureRefused, match="not noted"):
        compared(4)


def test_the_rest_gets_it_at_the_next_such_hour() -> None:
    """Nine o'clock came before the winner: the rest waits for nine of the next day."""
    broadcast = compared(20, timing="local", local_on=date(2026, 3, 2), local_time=time(12))
    respond(broadcast, "a", clicks=1)
    work(NOW + 2 * HOUR)
    assert mailed(broadcast) == {"sent": 11}
    assert set(broadcast.recipients.filter(state="rest").values_list("due_at", flat=True)) == {NOW + 24 * HOUR}
    work(NOW + 24 * HOUR)
    assert mailed(broadcast) == {"sent": 11, "queued": 9}


# --- What it reads ------------------------------------------------------------------------------------------------------------------


def test_what_it_names_cannot_go_while_it_needs_it() -> None:
    segment, asked = audience(make_contact()), make_segment(name="Asked")
    template, other = make_template(), make_template()
    rule = {"in_segment": asked.slug}
    broadcast = write(
        segment, variants=[(template, 1), (other, 1)], winner_by="condition", test_percent=50, winner_hours=1,
        winner_conditions=rule, name="Spring",
    )  # fmt: skip
    for used in (segment, asked):
        with pytest.raises(InUse, match="Spring"):
            archive_segment(used, actor=None, now=NOW)
    with pytest.raises(nurture_actions.NurtureRefused, match="Spring"):
        nurture_actions.archive_template(template, actor=None, now=NOW)
    rename_segment(asked, slug="asked-anew", actor=None, now=NOW)
    broadcast.refresh_from_db()
    assert broadcast.winner_conditions == {"in_segment": "asked-anew"}
    send(broadcast)
    archive_segment(segment, actor=None, now=NOW)  # the audience is frozen
    actions.cancel(broadcast, actor=None, now=NOW)
    nurture_actions.archive_template(template, actor=None, now=NOW)


def test_best_of() -> None:
    arm = Arm
    assert winner.best_of({"a": arm(10, 2), "b": arm(20, 5)}, at_least=10) == "b"
    assert winner.best_of({"a": arm(10, 2), "b": arm(20, 4)}, at_least=10) == "a"  # of equals the first
    assert winner.best_of({"a": arm(9, 9), "b": arm(20, 4)}, at_least=10) == ""
    assert winner.best_of({"a": arm(0, 0), "b": arm(20, 4)}, at_least=0) == ""


# --- Two contacts that are one, and what is kept about somebody ---------------------------------------------------------------------------


def merge(kept: Contact, gone: Contact) -> None:
    merging.merge_contacts(kept, gone=gone, take={}, actor=None, now=NOW)


def test_two_contacts_who_become_one_get_one_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gone = make_people(2)
    broadcast = send(write(audience(kept, gone), name="Spring"))
    pair = merging.Pair(kept, gone, kept.email, NOW)
    lines = [line.text for part, found in merging.sheet(pair) if part.key == "programs" for line in found]
    assert lines == ["Is to get “Spring”: once."]
    merge(kept, gone)
    work()
    assert list(Sending.objects.values_list("contact", "state")) == [(kept.pk, "queued")]
    broadcast.refresh_from_db()
    assert results.progress(broadcast) == results.Progress(total=2, in_outbox=1, gone=1)


@pytest.mark.parametrize("has_left", ["kept", "gone"])
def test_of_two_mails_the_one_that_waits_stays_behind(has_left: str) -> None:
    kept, gone = make_people(2)
    broadcast = send(write(audience(kept, gone)))
    work()
    first = kept if has_left == "kept" else gone
    Sending.objects.filter(contact=first).update(state="sent", sent_at=NOW, claimed_at=NOW)
    merge(kept, gone)
    assert mailed(broadcast) == {"sent": 1, "not_sent": 1}
    assert set(Sending.objects.values_list("contact", flat=True)) == {kept.pk}
    assert list(broadcast.recipients.values_list("contact", "state")) == [(kept.pk, "queued")]


def test_who_stays_out_stays_out_when_merged() -> None:
    kept, gone = make_people(2)
    broadcast = send(write(audience(kept, gone), out_of=[audience(gone)]))
    merge(kept, gone)
    work()
    assert places(broadcast) == {kept.pk: ("out", "kept_out")}
    assert Sending.objects.count() == 0


def test_the_file_about_somebody_names_the_broadcast() -> None:
    person = make_contact()
    count_audience(write(audience(person), name="Spring"))
    (chapter,) = [one for one in person_file.chapters() if one.key == "broadcasts"]
    (row,) = chapter.rows(person_file.Person(person, (), ()))
    assert (row["broadcast_name"], row["state"], row["why"]) == ("Spring", "waiting", "")
    person.delete()
    assert BroadcastRecipient.objects.count() == 0
