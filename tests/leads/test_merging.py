"""Two contacts become one: which value stays, what comes along, the stricter consent, the page, and files that name the old keys."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from leads import actions, intake, merging
from leads.access import SALES
from leads.addresses import address_hash
from leads.intake import Circumstances, Row
from leads.models import (
    Activity,
    AuditEntry,
    ConsentEvent,
    Contact,
    ContactMerge,
    DealContact,
    Mark,
    Signal,
    StageMove,
    Suppression,
)
from leads.queries_consent import why_blocked
from leads.suppression import suppress
from tests.makers import NOW, make_activity, make_company, make_contact, make_deal, make_owner, make_user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=1)


def pair(**gone_values: object) -> tuple[Contact, Contact]:
    kept = make_contact("ada@old.test", external_id="a-1", first_name="Ada", last_name="Lovelace", title="CTO")
    gone = make_contact("ada@new.test", external_id="b-1", first_name="Ada", last_name="Lovelace", **gone_values)
    return kept, gone


def merge(kept: Contact, gone: Contact, **take: str) -> Contact:
    record = merging.merge_contacts(kept, gone=gone, take=take, actor=make_user(), now=LATER)
    assert not Contact.objects.filter(pk=gone.pk).exists()
    return Contact.objects.get(pk=record.kept_id)


def test_every_table_that_names_a_contact_has_somebody_who_decides_about_it() -> None:
    named = {
        model._meta.db_table
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and field.related_model is Contact and not field.many_to_many
    }
    decided = [table for part in merging.parts() for table in (*part.moves, *part.drops)]
    assert sorted(decided) == sorted(named)


def test_unknown_fields_are_filled_and_chosen_ones_taken() -> None:
    owner, company = make_owner("Olga"), make_company("Analytical")
    actions.make_custom_field("contact", key="plan", type="text", now=NOW)
    kept, gone = pair(
        title="CEO",
        city="London",
        owner=owner,
        company=company,
        tags=["VIP", "fair"],
        custom={"plan": "pro"},
        created_at=NOW - timedelta(days=400),
    )
    Contact.objects.filter(pk=kept.pk).update(tags=["vip"])
    kept.refresh_from_db()
    offered = {row.key: row.taken for row in merging.choices(kept, gone) if row.differs}
    assert offered == {
        "email": "kept",
        "external_id": "kept",
        "title": "kept",
        "city": "gone",
        "owner": "gone",
        "company": "gone",
        "custom.plan": "gone",
    }
    stays = merge(kept, gone, title="gone", email="gone", city="kept")
    assert (stays.email, stays.external_id, stays.title, stays.city) == ("ada@new.test", "a-1", "CEO", "")
    assert (stays.owner, stays.company, stays.custom, stays.tags) == (owner, company, {"plan": "pro"}, ["vip", "fair"])
    assert (stays.created_at, stays.updated_at) == (NOW - timedelta(days=400), LATER)
    record = ContactMerge.objects.get()
    assert (record.gone_id, record.external_id, record.email) == (gone.pk, "b-1", "ada@old.test")
    entry = AuditEntry.objects.get(verb="merged")
    assert (entry.object_id, entry.detail["gone"], entry.detail["name"]) == (str(kept.pk), gone.pk, "Ada Lovelace")


def test_activities_signals_and_deals_come_along_and_every_rule_looks_again() -> None:
    kept, gone = pair()
    make_activity(kept, at=NOW)
    for hours in (1, 2):
        make_activity(gone, at=NOW - timedelta(hours=hours))
    make_activity(gone, "call", at=NOW)
    both, theirs = make_deal(kept, gone), make_deal(gone)
    told = [line.text for _part, lines in merging.sheet(merging.Pair(kept, gone, kept.email, LATER)) for line in lines]
    assert "3 activities join the timeline." in told
    assert "2 deals list this person. 1 of them lists both." in told
    Mark.objects.all().delete()
    merge(kept, gone)
    assert Activity.objects.filter(contact=kept).count() == 4
    assert not Activity.objects.filter(contact_id=gone.pk).exists()
    found = {row.kind.slug: (row.n, row.first_at, row.last_at) for row in Signal.objects.select_related("kind")}
    assert found == {"page_view": (3, NOW - timedelta(hours=2), NOW), "call": (1, NOW, NOW)}
    assert set(DealContact.objects.values_list("deal", "contact")) == {(both.pk, kept.pk), (theirs.pk, kept.pk)}
    assert set(Mark.objects.values_list("contact_id", flat=True)) == {kept.pk}
    assert {1, 2, 3, 4, 5} <= set(Mark.objects.values_list("facet", flat=True))


@pytest.mark.parametrize(
    ("ours", "theirs", "stays"),
    [
        ("inquiry", "customer", "customer"),
        ("customer", "mql", "customer"),
        ("disqualified", "mql", "disqualified"),
        ("inquiry", "lost", "inquiry"),
    ],
)
def test_the_joined_history_of_stages_ends_where_the_contact_stands(ours: str, theirs: str, stays: str) -> None:
    kept, gone = pair()
    for number, (contact, stage) in enumerate(((kept, ours), (gone, theirs))):
        if stage != "inquiry":
            actions.move_stage(
                contact,
                to=stage,
                actor=None,
                cause="by_hand",
                reason="",
                now=NOW + timedelta(hours=number),
                by_hand=True,
            )
    found = merge(kept, gone)
    assert found.stage == stays
    moves = list(StageMove.objects.filter(contact=kept).order_by("moved_at", "pk"))
    assert moves[-1].to_stage == stays
    assert found.stage_since == moves[-1].moved_at or (moves[-1].to_stage == moves[-1].from_stage)


# --- consent: the stricter of the two ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["kept", "gone"])
def test_who_said_no_by_one_address_said_no_by_the_other(chosen: str) -> None:
    kept, gone = pair()
    actions.withdraw_consent("ada@new.test", source="one_click", now=NOW)
    ConsentEvent.objects.create(
        address_hash=address_hash("ada@old.test"), contact=kept, state="given", occurred_at=NOW, source="form:news"
    )
    merge(kept, gone, email=chosen)
    for address in ("ada@old.test", "ada@new.test"):
        # A withdrawn address stays withdrawn, whichever of the two is kept; the kept one takes it over.
        is_kept = address == ("ada@old.test" if chosen == "kept" else "ada@new.test")
        if is_kept or address == "ada@new.test":
            last = ConsentEvent.objects.filter(address_hash=address_hash(address)).latest("occurred_at", "id")
            assert last.state == "withdrawn"
            assert why_blocked([address], "marketing") == {address: "withdrawn"}
    assert not ConsentEvent.objects.exclude(contact=kept).exists()


def test_a_hard_bounce_stays_with_its_mailbox_and_a_complaint_comes_along() -> None:
    kept, gone = pair()
    suppress("ada@new.test", reason="bounced", source="smtp", now=NOW)
    ConsentEvent.objects.create(
        address_hash=address_hash("ada@new.test"), contact=gone, purpose="events", state="withdrawn", occurred_at=NOW
    )
    merge(kept, gone)
    assert not Suppression.objects.filter(address_hash=address_hash("ada@old.test")).exists()
    taken = ConsentEvent.objects.get(address_hash=address_hash("ada@old.test"))
    assert (taken.purpose, taken.state, taken.source) == ("events", "withdrawn", "merge")

    other = make_contact("third@old.test")
    suppress("third@old.test", reason="complained", source="smtp", now=NOW)
    merge(kept, other)
    assert Suppression.objects.get(address_hash=address_hash("ada@old.test")).reason == "complained"


def test_what_makes_no_sense_is_refused_and_nothing_changes() -> None:
    kept, gone = pair()
    for refused, take, seen in (
        (kept, {}, []),
        (gone, {"shoe": "gone"}, []),
        (gone, {}, [NOW, NOW]),
    ):
        with pytest.raises(actions.Refused):
            merging.merge_contacts(kept, gone=refused, take=take, actor=None, now=LATER, seen=seen)
    assert Contact.objects.count() == 2
    merging.merge_contacts(kept, gone=gone, take={}, actor=None, now=LATER)
    with pytest.raises(actions.Refused, match="meanwhile"):
        merging.merge_contacts(kept, gone=gone, take={}, actor=None, now=LATER)


def test_a_chain_of_merges_leads_to_the_last() -> None:
    kept, gone = pair()
    last = make_contact("last@ripen.test")
    merge(kept, gone)
    merge(last, kept)
    assert set(ContactMerge.objects.values_list("gone_id", "kept")) == {(gone.pk, last.pk), (kept.pk, last.pk)}


# --- files that name the old keys -------------------------------------------------------------------------------------------


def test_a_file_does_not_bring_the_double_back() -> None:
    kept, gone = pair()
    merge(kept, gone)
    circumstances = Circumstances(now=LATER)
    rows = [
        Row(1, {"external_id": "b-1", "title": "CEO"}),
        Row(2, {"email": "ada@new.test", "title": "CEO"}),
        Row(3, {"external_id": "c-1", "email": "new@ripen.test"}),
    ]
    outcome = intake.take("contacts", rows, circumstances)
    assert outcome.rejected == [
        (1, "this contact was merged into Ada Lovelace"),
        (2, "this contact was merged into Ada Lovelace"),
    ]
    assert (outcome.created, outcome.updated) == (1, 0)
    what = {"contact": "b-1", "kind": "call", "occurred_at": NOW}
    assert intake.take("activities", [Row(1, what)], circumstances).created == 1
    assert Activity.objects.get().contact_id == kept.pk


# --- the page ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user())
    return client


def address(kept: Contact) -> str:
    return reverse("leads:contact-merge", args=[kept.pk])


def test_the_page_shows_both_side_by_side_and_merges_what_was_seen(marketer: Client) -> None:
    kept, gone = pair(title="CEO")
    found = marketer.get(address(kept))
    assert f"?with={gone.pk}" in found.content.decode()  # the same name is offered first
    page = marketer.get(address(kept), {"with": gone.pk})
    text = page.content.decode()
    assert "CTO" in text and "CEO" in text and "What will happen" in text
    seen = page.context["seen"]
    answer = marketer.post(address(kept), {"with": gone.pk, "take-title": "gone", "seen": seen})
    assert answer.status_code == 302
    kept.refresh_from_db()
    assert kept.title == "CEO"
    stays = reverse("leads:contact-detail", args=[kept.pk])
    assert answer.headers["Location"] == stays
    assert marketer.get(reverse("leads:contact-detail", args=[gone.pk])).headers["Location"] == stays
    timeline = marketer.get(stays).content.decode()
    assert "Ada Lovelace was merged into this contact" in timeline


def test_the_sheet_follows_the_choice_of_the_address(marketer: Client) -> None:
    kept, gone = pair()
    actions.withdraw_consent("ada@new.test", source="one_click", now=NOW)
    first = marketer.get(address(kept), {"with": gone.pk}, headers={"HX-Request": "true"}).content.decode()
    assert "ada@new.test was withdrawn: so is ada@old.test" in first
    assert "<html" not in first
    chosen = {"with": str(gone.pk), "take-email": "gone"}
    second = marketer.get(address(kept), chosen, headers={"HX-Request": "true"}).content.decode()
    assert "was withdrawn: so is" not in second


def test_a_contact_changed_meanwhile_is_shown_again(marketer: Client) -> None:
    kept, gone = pair()
    seen = marketer.get(address(kept), {"with": gone.pk}).context["seen"]
    actions.change_contact(gone, changes={"city": "Paris"}, actor=None, now=LATER)
    answer = marketer.post(address(kept), {"with": gone.pk, "seen": seen})
    assert answer.status_code == 422
    assert "changed meanwhile" in answer.content.decode()
    assert marketer.post(address(kept), {"with": gone.pk, "seen": ["nonsense"]}).status_code == 422
    assert Contact.objects.count() == 2


def test_two_of_the_list_lead_to_the_page_and_three_do_not(marketer: Client) -> None:
    kept, gone = pair()
    third = make_contact()
    bulk = reverse("leads:contact-bulk")
    found = marketer.post(bulk, {"action": "merge", "chosen": [kept.pk, gone.pk]})
    assert found.headers["Location"] == f"{address(kept)}?with={gone.pk}"
    refused = marketer.post(bulk, {"action": "merge", "chosen": [kept.pk, gone.pk, third.pk]}, follow=True)
    assert "Choose exactly two people to merge." in refused.content.decode()


def test_sales_may_not_merge(client: Client) -> None:
    kept, gone = pair()
    client.force_login(make_user(SALES))
    assert client.get(address(kept), {"with": gone.pk}).status_code == 403
    assert client.post(address(kept), {"with": gone.pk}).status_code == 403
    assert client.post(reverse("leads:contact-bulk"), {"action": "merge", "chosen": [kept.pk]}).status_code == 403
    assert Contact.objects.count() == 2


@pytest.mark.parametrize("other", ["0", "nobody", "self"])
def test_nobody_to_merge_with_is_not_found(marketer: Client, other: str) -> None:
    kept, _gone = pair()
    assert marketer.get(address(kept), {"with": kept.pk if other == "self" else other}).status_code == 404
