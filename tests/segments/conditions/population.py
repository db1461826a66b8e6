"""A small, odd population and odd rules about it: unknown values, Unicode, `%`, month ends, leap days, clocks that jump, futures."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from leads import queries
from leads.addresses import address_hash
from leads.models import Company, ConsentEvent, Contact, CustomField, Deal, DealContact, Owner, StageMove
from segments.models import Membership, Persona, PersonaAssignment, Segment, SegmentOverride
from tests.segments.conditions.population_above import PROGRAMS, load_above

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia",
    "America/Havana", "Africa/Casablanca",
)  # fmt: skip
# Moments for which rules are worked out: ordinary, at midnight, in gaps and overlaps of clocks, at month ends, on leap days.
MOMENTS = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2026-03-02T12:00:00+00:00",
        "2026-03-31T00:00:00+00:00",
        "2026-03-29T00:59:59.999999+00:00",
        "2026-03-29T01:00:00+00:00",
        "2025-10-26T00:30:00+00:00",
        "2025-10-26T01:30:00+00:00",
        "2024-02-29T10:00:00+00:00",
        "2025-02-28T23:30:00+00:00",
        "2026-01-01T00:00:00+00:00",
        "2018-11-04T02:59:59+00:00",
    )
)
TEXTS = (
    "VP Sales", "vp of marketing", "Müller", "MÜLLER", "straße", "STRASSE", "100%", "100 percent", "a_b", "axb", "c\\d", "İstanbul",
    "istanbul", "Σίσυφος", "ΣΊΣΥΦΟΣ", "ẞ", "Ünï côdé", "head", "12", "12.50", "true", "2026-03-01", "é", "x" * 150,
    "ß", "İ", "東京都", "😀 ok", "👩\u200d👩\u200d👧", "ﬁ", "q\u0303", "a  b", "line\nbreak", "[]", "null", "'; --",
)  # fmt: skip
TAGS = ("Partner", "partner ", "Käufer", "x%", "beta", "BETA")
KINDS = ("page_view", "form_submit", "download", "webinar_attended", "purchase", "email_open")
URLS = (
    "",
    "https://x.test/pricing",
    "https://x.test/Pricing/team",
    "https://x.test/careers",
    "https://x.test/100%_done",
)
NUMBERS = (
    Decimal(0),
    Decimal(5),
    Decimal(20),
    Decimal("20.5"),
    Decimal("-3"),
    Decimal("0.1"),
    Decimal("99999999999.000001"),
    Decimal("123456789012345678"),
    Decimal("-0.000001"),
)
COUNTRIES = ("DE", "AT", "US", "Atlantis", "")
STAGES = ("inquiry", "mql", "accepted", "opportunity", "customer", "lost")
PATTERNS = (
    "^vp",
    "s(a|o)les$",
    "[a-z]+ [0-9]",
    "m.ller",
    "100%",
    "a[_x]b",
    "^.{5,6}$",
    "ü",
    "c\\\\d",
    "^(x|ß)+",
    "ΣΊΣ",
    "[^a-z0-9 ]",
)
CUSTOM = {
    "words": "text", "long": "long_text", "score_a": "number", "vip": "yes_no", "plan": "choice", "products": "choices",
    "renewal": "date", "trial_at": "moment", "mail": "email", "site": "url", "tel": "phone", "land": "country", "budget": "money",
}  # fmt: skip


CONTACT_TEXTS = ("first_name", "last_name", "department", "region", "city", "source")
CONTACT_SHORT_TEXTS = ("seniority", "phone", "postal_code", "timezone", "language")
SHORT_TEXTS = tuple(text for text in TEXTS if len(text) < 30)


def near(rng: random.Random) -> datetime:
    """A moment at, just before or just after an edge that some rule may have."""
    base = rng.choice(MOMENTS)
    step = rng.choice(
        [timedelta(0), timedelta(days=1), timedelta(days=7), timedelta(hours=1), timedelta(days=30), timedelta(days=31),
         timedelta(days=365), timedelta(minutes=5), timedelta(days=91)]
    )  # fmt: skip
    return base + rng.choice([-1, -1, -2, 0, 1]) * step + rng.choice([0, 0, 1, -1]) * timedelta(microseconds=1)


def near_day(rng: random.Random) -> date:
    return (near(rng) + timedelta(hours=rng.choice([0, 5, -5]))).date() if rng.random() < 0.8 else date(2024, 2, 29)


def maybe(rng: random.Random, value: Any, unknown: Any) -> Any:
    return unknown if rng.random() < 0.25 else value


def properties(rng: random.Random) -> dict[str, Any]:
    values: list[Any] = [
        None, "", [], {}, 5, 20.5, "12", "12.50", "-3", "1e3", " 7", "", True, False, "true", "Müller", "VP Sales",
        [1, "VP Sales"], ["beta"], near_day(rng).isoformat(), near(rng).isoformat(), near(rng).isoformat().replace("+00:00", "Z"),
        near(rng).strftime("%Y-%m-%d %H:%M"),
        near(rng).replace(tzinfo=None).isoformat(), "2026-02-30", "2026-03-29T02:30:00", "2025-10-26T02:30", "24:00", 1.10, 100,
        "2026-03-01T10:00:00.1234567Z", "now", "infinity", "9" * 120,
    ]  # fmt: skip
    return {key: rng.choice(values) for key in ("amount", "note", "due") if rng.random() < 0.8}


def custom_values(rng: random.Random) -> dict[str, Any]:
    def one(type: str) -> Any:
        match type:
            case "number" | "money":
                return rng.choice([0, 5, 20, 20.5, -3, 0.1, 12345678901234])
            case "yes_no":
                return rng.choice([True, False])
            case "choices":
                return rng.sample(["Pro", "team", "FREE", "Größe"], rng.randint(0, 3))
            case "date":
                return near_day(rng).isoformat()
            case "moment":
                return near(rng).isoformat()
            case "country":
                return rng.choice(COUNTRIES)
        return rng.choice(TEXTS)

    found = {}
    for key, type in CUSTOM.items():
        if rng.random() < 0.7:
            found[key] = maybe(rng, one(type), rng.choice([None, ""]))
    return found


@dataclass(frozen=True)
class Population:
    contact_ids: list[int]


def load(seed: int, size: int = 45) -> Population:
    """Rows as the product would store them."""
    rng = random.Random(seed)
    CustomField.objects.bulk_create(
        [
            CustomField(of=of, key=key, label=key, type=type)
            for of in CustomField.Of.values
            for key, type in CUSTOM.items()
        ]
    )
    owners = [
        Owner.objects.create(name=f"{name} {seed}", email=email) for name, email in (("Zoë", "zoe@x.test"), ("Ann", ""))
    ]
    companies = [
        Company.objects.create(
            external_id=f"co-{seed}-{number}",
            name=maybe(rng, rng.choice(TEXTS), "Nameless"),
            domain=maybe(rng, "x.test", ""),
            industry=maybe(rng, rng.choice(TEXTS), ""),
            region=maybe(rng, rng.choice(TEXTS), ""),
            city=maybe(rng, rng.choice(TEXTS), ""),
            employees=maybe(rng, rng.choice([0, 5, 20, 10**12]), None),
            revenue=maybe(rng, rng.choice(NUMBERS), None),
            founded=maybe(rng, 1999, None),
            country=rng.choice(COUNTRIES),
            tags=rng.sample(TAGS, rng.randint(0, 2)),
            custom=custom_values(rng),
        )
        for number in range(size // 5)
    ]
    contacts = [
        Contact.objects.create(
            external_id=maybe(rng, f"c-{seed}-{number}", None),
            email=f"person{number}.{seed}@x.test",
            title=maybe(rng, rng.choice(TEXTS), ""),
            **{name: maybe(rng, rng.choice(TEXTS), "") for name in CONTACT_TEXTS},
            **{name: maybe(rng, rng.choice(SHORT_TEXTS), "") for name in CONTACT_SHORT_TEXTS},
            country=rng.choice(COUNTRIES),
            owner=maybe(rng, rng.choice(owners), None),
            company=maybe(rng, rng.choice(companies), None),
            stage=rng.choice(STAGES),
            stage_since=near(rng),
            tags=rng.sample(TAGS, rng.randint(0, 3)),
            custom=custom_values(rng),
            created_at=near(rng),
            updated_at=near(rng),
        )
        for number in range(size)
    ]
    for contact in contacts:
        moments = sorted({near(rng) for _ in range(rng.randint(0, 3))})
        stage = rng.choice([*STAGES, ""])
        for moved_at in moments:
            to = rng.choice(STAGES)
            StageMove.objects.create(contact=contact, moved_at=moved_at, from_stage=stage, to_stage=to, cause="test")
            stage = to
        if moments:
            Contact.objects.filter(pk=contact.pk).update(stage=stage, stage_since=moments[-1])
    kinds = queries.kind_ids(KINDS)
    rows = []
    for contact in contacts:
        for _ in range(rng.choice([0, 0, 1, 3, 8, 25])):
            at = near(rng)
            for _same in range(rng.choice([1, 1, 1, 2])):
                row = queries.ActivityRow(
                    contact_id=contact.pk,
                    kind_id=kinds[rng.choice(KINDS[:5])],
                    occurred_at=at,
                    asset=(rng.choice(URLS), rng.choice(["", *TEXTS[:8]]), rng.choice(["", "ads"])),
                    properties=queries.json_text(properties(rng)) if rng.random() < 0.6 else None,
                )
                rows += [row]
    queries.store_activities(rows, now=MOMENTS[0])
    for number in range(size):
        status = rng.choice(Deal.Status.values)
        deal = Deal.objects.create(
            external_id=f"d-{seed}-{number}",
            status=status,
            amount=maybe(rng, rng.choice(NUMBERS), None),
            margin=maybe(rng, Decimal("0.4"), None),
            product=maybe(rng, rng.choice(TEXTS[:8]), ""),
            opened_on=maybe(rng, near_day(rng), None),
            closed_on=None if status == "open" and rng.random() < 0.8 else maybe(rng, near_day(rng), None),
            loss_reason="price" if status == "lost" else "",
            custom=custom_values(rng),
        )
        DealContact.objects.bulk_create(
            [DealContact(deal=deal, contact=each) for each in rng.sample(contacts, rng.randint(0, 3))]
        )
    ConsentEvent.objects.bulk_create(
        [
            ConsentEvent(
                address_hash=address_hash(contact.email or ""),
                purpose=rng.choice(["marketing", "events"]),
                state=rng.choice(ConsentEvent.State.values),
                occurred_at=near(rng),
                source="test",
            )
            for contact in contacts
            for _entry in range(rng.choice([0, 1, 3]))
        ]
    )
    _load_definitions(rng, contacts)
    load_above(rng, contacts, near)
    return Population([contact.pk for contact in contacts])


def _load_definitions(rng: random.Random, contacts: list[Contact]) -> None:
    rules: dict[str, Any] = {
        "vips": {"field": "contact.custom.vip", "op": "is_true"},
        "busy": {"did": "any", "count": {"op": "at_least", "value": 3}},
        "nested": {"any": [{"in_segment": "vips"}, {"not": {"in_segment": "busy"}}]},
        "by-hand": None,
    }
    for slug, rule in rules.items():
        mode = Segment.Mode.FIXED if rule is None else Segment.Mode.DYNAMIC
        segment = Segment.objects.create(slug=slug, name=slug, mode=mode, conditions=rule)
        for contact in contacts:
            if slug != "busy" and rng.random() < 0.2:
                SegmentOverride.objects.create(
                    segment=segment,
                    contact=contact,
                    verdict=rng.choice(["added", "removed"]),
                    cause="by_hand",
                    since=near(rng),
                )
            if rng.random() < 0.3:
                since = near(rng)
                until = maybe(rng, since + timedelta(days=rng.randint(0, 40)), None)
                Membership.objects.create(segment=segment, contact=contact, since=since, until=until, why="test")
    persona_rules: dict[str, Any] = {
        "cfo": {"field": "contact.title", "op": "contains", "value": "vp"},
        "cto": {"field": "contact.country", "op": "is", "value": "DE"},
        "rest": {"all": []},
    }
    personas = [
        Persona.objects.create(slug=slug, name=slug, position=position, conditions=rule, status=Persona.Status.AGREED)
        for position, (slug, rule) in enumerate(persona_rules.items())
    ]
    for contact in contacts:  # one persona at a time
        since = near(rng)
        for persona in rng.sample(personas, rng.randint(0, 2)):
            until = since + timedelta(days=rng.randint(0, 40))
            PersonaAssignment.objects.create(contact=contact, persona=persona, since=since, until=until)
            since = until
    Persona.objects.create(slug="draft", name="draft", position=0, conditions={"all": []})


# --- rules

texts = st.sampled_from([text for text in TEXTS if len(text) < 100])
parts = texts.flatmap(lambda text: st.integers(0, len(text) - 1).map(lambda start: text[start : start + 4])).filter(
    lambda text: text.strip()
)
days = st.integers(0, 10**6).map(lambda seed: near_day(random.Random(seed)).isoformat())
moments = st.integers(0, 10**6).map(lambda seed: near(random.Random(seed)).isoformat())
naive_moments = st.integers(0, 10**6).map(lambda seed: near(random.Random(seed)).replace(tzinfo=None).isoformat())
json_numbers: SearchStrategy[Any] = st.sampled_from(
    [0, 1, 5, 12, 20, 20.5, -3, 0.1, 10**12, Decimal("99999999999.000001")]
)
number_pairs: SearchStrategy[list[Any]] = st.lists(json_numbers, min_size=2, max_size=2).map(sorted)
amounts = st.sampled_from([1, 1, 2, 3, 5, 7, 12, 30, 31, 400, 10**7])
all_units = st.sampled_from(["minutes", "hours", "days", "weeks", "months", "quarters", "years"])
date_units = st.sampled_from(["days", "weeks", "months", "quarters", "years"])
POSITIVE_TEXT = ("is", "contains", "starts_with", "ends_with")


def evenly(*choices: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    """One of them, each as likely: st.one_of alone counts the choices inside a choice."""
    return st.sampled_from(choices).flatmap(lambda choice: choice)


def one_of_ops(*ops: str, **values: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"op": st.sampled_from(ops), **values})


known = one_of_ops("is_known", "is_unknown")
text_ops = st.one_of(
    one_of_ops(
        "is", "is_not", "contains", "does_not_contain", "starts_with", "ends_with", value=st.one_of(texts, parts)
    ),
    one_of_ops("in", "not_in", value=st.lists(st.one_of(texts, parts), min_size=1, max_size=3)),
    one_of_ops("matches", "does_not_match", value=st.sampled_from(PATTERNS)),
    known,
)
number_ops = st.one_of(
    one_of_ops("is", "is_not", "less_than", "at_most", "more_than", "at_least", value=json_numbers),
    one_of_ops("between", "not_between", value=number_pairs),
    known,
)
yes_no_ops = st.one_of(one_of_ops("is_true", "is_false"), known)
choices_ops = st.one_of(
    one_of_ops(
        "includes_any",
        "includes_all",
        "includes_none",
        value=st.lists(st.sampled_from([*TAGS, "pro", "TEAM", "größe", "vp sales"]), min_size=1, max_size=2),
    ),
    known,
)


def choice_ops(*values: str) -> SearchStrategy[dict[str, Any]]:
    one = st.sampled_from(values)
    return st.one_of(
        one_of_ops("is", "is_not", value=one),
        one_of_ops("in", "not_in", value=st.lists(one, min_size=1, max_size=3)),
        known,
    )


country_ops = choice_ops("DE", "germany", "Austria", "us", "Atlantis", "ATLANTIS", "Nowhere")


def periods(units: SearchStrategy[str], ends: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    passing = one_of_ops("in_last", "not_in_last", "in_next", "more_than_ago", value=amounts, unit=units)
    return evenly(
        one_of_ops("on", "not_on", value=days),
        one_of_ops("before", "after", value=ends),
        one_of_ops("between", value=st.lists(days, min_size=2, max_size=2).map(sorted)),
        passing,
        passing,
        one_of_ops("this", "last", "next", value=st.sampled_from(["week", "month", "quarter", "year"])),
    )


moment_pairs = st.lists(moments, min_size=2, max_size=2).map(lambda pair: sorted(pair, key=datetime.fromisoformat))
_moment_periods = periods(all_units, st.one_of(days, moments, naive_moments))
moment_periods = evenly(*[_moment_periods] * 5, one_of_ops("between", value=moment_pairs))
anniversaries = one_of_ops("anniversary_in", value=st.sampled_from([0, 1, 28, 59, 60, 364, 365]))
_date_periods = periods(date_units, days)
date_ops = evenly(*[_date_periods] * 5, anniversaries, known)
moment_ops = evenly(*[moment_periods] * 5, anniversaries, known)
# `is` and `in` on a property ask for text or a number by their value.
property_ops = evenly(text_ops, number_ops, yes_no_ops, choices_ops, *[moment_ops] * 4)


def fields(ops: SearchStrategy[dict[str, Any]], *names: str) -> SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(names), ops).map(lambda pair: {"field": pair[0], **pair[1]})


def custom(of: str) -> SearchStrategy[dict[str, Any]]:
    prefix = f"{of}custom."
    by_type: dict[str, SearchStrategy[dict[str, Any]]] = {
        "number": number_ops, "money": number_ops, "yes_no": yes_no_ops, "choices": choices_ops, "date": date_ops, "moment": moment_ops,
        "country": country_ops,
    }  # fmt: skip

    def one(pair: tuple[str, str]) -> SearchStrategy[dict[str, Any]]:
        key, type = pair
        plain = choice_ops("Pro", "vp sales", "Müller", "100%") if type == "choice" else text_ops
        return fields(by_type.get(type, plain), prefix + key)

    return st.sampled_from(sorted(CUSTOM.items())).flatmap(one)


text_leaves = fields(
    text_ops,
    *(f"contact.{name}" for name in (*CONTACT_TEXTS, *CONTACT_SHORT_TEXTS)),
    *(f"contact.{name}" for name in ("title", "email", "owner", "external_id")),
    *(f"company.{name}" for name in ("name", "industry", "external_id", "domain", "region", "city")),
)
score_leaves = fields(
    number_ops, *(f"score.default.{part}" for part in ("total", "fit", "behaviour", "negative", "bant"))
)
field_leaves = evenly(
    *[text_leaves] * 10,
    fields(number_ops, "company.employees", "company.revenue", "company.founded"),
    *[score_leaves] * 2,
    fields(choice_ops("A1", "b2", "D4"), "score.default.grade"),
    fields(number_ops, "bant.amount", "bant.points"),
    fields(choice_ops("yes", "No"), "bant.budget"),
    fields(choice_ops("decides", "none"), "bant.authority"),
    fields(choice_ops("urgent", "none"), "bant.need"),
    fields(date_ops, "bant.timeframe"),
    fields(
        choice_ops("met", "NOT_MET"),
        *(f"bant.{facet}_verdict" for facet in ("budget", "authority", "need", "timeframe")),
    ),
    fields(country_ops, "contact.country", "company.country"),
    fields(choice_ops(*STAGES), "contact.stage"),
    fields(choice_ops("cfo", "cto", "rest"), "contact.persona"),
    fields(choice_ops("given", "withdrawn", "Asked"), "consent.marketing", "consent.events"),
    fields(choices_ops, "contact.tags", "company.tags"),
    fields(moment_ops, "contact.created_at", "contact.updated_at", "contact.last_activity_at"),
    *[custom("contact.")] * 4,
    *[custom("company.")] * 4,
)
activity_rows = st.lists(
    evenly(
        fields(text_ops, "url", "subject", "source"),
        fields(choice_ops(*KINDS, "never_seen"), "kind"),
        fields(moment_ops, "occurred_at"),
        *[fields(property_ops, "properties.amount", "properties.note", "properties.due", "properties.none")] * 3,
    ),
    min_size=1,
    max_size=2,
)
deal_rows = st.lists(
    evenly(
        fields(choice_ops("open", "Won", "lost"), "status"),
        fields(number_ops, "amount", "margin"),
        fields(text_ops, "product", "loss_reason"),
        fields(date_ops, "opened_on", "closed_on"),
        custom(""),
        custom(""),
        custom(""),
    ),
    min_size=1,
    max_size=2,
)
kinds = st.one_of(
    st.sampled_from([*KINDS, "never_seen", "Page_View"]),
    st.just("any"),
    st.lists(st.sampled_from([*KINDS, "never_seen"]), min_size=1, max_size=3),
)
whole_numbers = st.sampled_from([0, 1, 2, 3, 8, 10**9])
counts = st.one_of(
    one_of_ops("exactly", "at_least", "at_most", "more_than", "less_than", value=whole_numbers),
    one_of_ops("between", value=st.lists(whole_numbers, min_size=2, max_size=2).map(sorted)),
)
totals = st.one_of(
    one_of_ops("exactly", "at_least", "at_most", "more_than", "less_than", value=json_numbers),
    one_of_ops("between", value=number_pairs),
).flatmap(
    lambda compared: st.tuples(
        st.sampled_from(["properties.amount", "properties.note"]),
        st.sampled_from(["sum", "average", "smallest", "largest"]),
    ).map(lambda pair: {"of": pair[0], "as": pair[1], **compared})
)
modes: SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    counts.map(lambda found: {"count": found}),
    st.just({"first": True}),
    activity_rows.map(lambda rows: {"latest": rows}),
    totals.map(lambda found: {"total": found}),
)


def optional(key: str, values: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), values.map(lambda found: {key: found}))


def merged(*sources: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    return st.tuples(*sources).map(lambda found: {key: value for each in found for key, value in each.items()})


did_leaves = merged(
    kinds.map(lambda did: {"did": did}), optional("where", activity_rows), modes, optional("when", moment_periods)
)
steps = merged(kinds.map(lambda did: {"did": did}), optional("where", activity_rows))
gaps = st.fixed_dictionaries({"value": st.sampled_from([1, 7, 30, 400, 10**8]), "unit": all_units})
sequence_leaves = merged(
    st.lists(steps, min_size=1, max_size=3).map(lambda found: {"sequence": found}),
    optional("gap", gaps),
    optional("when", moment_periods),
)
has_leaves = merged(st.just({"has": "deal"}), optional("where", deal_rows), optional("count", counts))
member_leaves = st.one_of(
    st.sampled_from(["vips", "busy", "nested", "by-hand"]).map(lambda slug: {"in_segment": slug}),
    st.sampled_from(["cfo", "cto", "rest", "draft"]).map(lambda slug: {"in_persona": slug}),
    st.tuples(st.sampled_from(PROGRAMS), st.sampled_from([None, "active", "finished", "left"])).map(
        lambda pair: {"in_program": pair[0]} | ({"state": pair[1]} if pair[1] else {})
    ),
)
leaves = evenly(
    field_leaves,
    field_leaves,
    field_leaves,
    did_leaves,
    did_leaves,
    has_leaves,
    has_leaves,
    sequence_leaves,
    member_leaves,
)


def nested(depth: int) -> SearchStrategy[dict[str, Any]]:
    """Rules of up to that many levels of groups."""
    if depth == 0:
        return leaves
    inside = nested(depth - 1)
    nodes = st.lists(inside, min_size=1, max_size=3)
    everybody_nobody = st.sampled_from([{"all": []}, {"any": []}]).map(dict[str, Any])
    groups = [nodes.map(lambda found: {"all": found}), nodes.map(lambda found: {"any": found})]
    return evenly(leaves, leaves, *groups, *groups, inside.map(lambda node: {"not": node}), everybody_nobody)


documents = nested(3)
