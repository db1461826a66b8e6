"""Makes the demo's facts: companies, people, what they did, what they bought. Pure Python, no database; same seed, same facts.

Everything is generated company by company from a generator of its own, so that any size can be streamed and block 17 is
the same whether a hundred companies are asked for or a hundred thousand.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from nurture.demo import words

HISTORY = timedelta(days=548)  # eighteen months
CONTACTS_PER_COMPANY = 6

# Which industries buy: their people turn out this much better or worse than usual.
_INDUSTRY_FIT = {
    "manufacturing": 1.3, "automotive": 1.2, "food processing": 1.1, "chemicals": 1.0, "medical devices": 1.0, "energy": 0.9,
    "logistics": 0.6, "software": 0.25, "education": 0.1, "consulting": 0.2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CompanyFact:
    """A company as it is stored."""

    number: int
    external_id: str
    name: str
    domain: str
    industry: str
    employees: int | None
    revenue: Decimal | None
    founded: int | None
    country: str
    region: str
    city: str
    tags: list[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ContactFact:
    """A person as stored, without stage: that comes from the moves."""

    number: int
    company_number: int
    external_id: str
    email: str
    first_name: str
    last_name: str
    title: str
    department: str
    seniority: str
    phone: str
    country: str
    region: str
    city: str
    timezone: str
    language: str
    source: str
    owner: str | None
    tags: list[str]
    custom: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ActivityFact:
    """One thing a contact did or received."""

    contact_number: int
    occurred_at: datetime
    kind: str
    url: str = ""
    subject: str = ""
    source: str = ""
    properties: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DealFact:
    """A deal with its whole course; `status_at` tells how it stood on a day."""

    number: int
    external_id: str
    company_number: int
    contact_numbers: tuple[int, ...]
    owner: str
    outcome: str
    amount: Decimal
    margin: Decimal
    product: str
    opened_on: date
    closed_on: date | None
    loss_reason: str

    def status_at(self, day: date) -> str:
        return self.outcome if self.closed_on is not None and self.closed_on <= day else "open"


@dataclass(frozen=True, slots=True)
class StageFact:
    """Sales moved somebody; with `only_from` only out of one of those stages."""

    contact_number: int
    to_stage: str
    moved_at: datetime
    only_from: list[str] | None = None


@dataclass(slots=True)
class Block:
    """All facts about one company and its people."""

    company: CompanyFact
    contacts: list[ContactFact] = field(default_factory=list)
    activities: list[ActivityFact] = field(default_factory=list)
    deals: list[DealFact] = field(default_factory=list)


def blocks(*, contacts: int, activities: int, seed: int, until: datetime) -> Iterator[Block]:
    """Yields blocks until exactly `contacts` people exist; about `activities` activities fall to them in all."""
    if contacts <= 0:
        return
    per_contact = activities / contacts
    made = number = 0
    while made < contacts:
        block = _Maker(number=number, first_contact=made, seed=seed, until=until, per_contact=per_contact).make(
            limit=contacts - made
        )
        made += len(block.contacts)
        number += 1
        yield block


_SOURCES = [source for source, _, _ in words.SOURCES]
_SOURCE_WEIGHTS = [weight for _, weight, _ in words.SOURCES]
_SOURCE_QUALITY = {source: quality for source, _, quality in words.SOURCES}
_PAGE_URLS = [f"https://www.kestrel.example{page}" for page, _ in words.PAGES]
_PAGE_WEIGHTS = [weight for _, weight in words.PAGES]
_PRICING = "https://www.kestrel.example/pricing"
_CAREERS = "https://www.kestrel.example/careers"
# The ways in, by source: kind, subject.
_FIRST_TOUCH = {
    "organic_search": ("download", words.DOWNLOADS[0]),
    "paid_search": ("form_submit", "Resource download"),
    "trade_fair": ("meeting", "Trade fair stand"),
    "referral": ("form_submit", "Contact us"),
    "webinar": ("webinar_registered", words.WEBINARS[0]),
    "social": ("download", words.DOWNLOADS[1]),
    "partner": ("form_submit", "Request a quote"),
    "newsletter": ("newsletter_subscribed", words.NEWSLETTERS),
}


class _Maker:
    """Makes one block from a generator of its own."""

    def __init__(self, *, number: int, first_contact: int, seed: int, until: datetime, per_contact: float) -> None:
        self.number = number
        self.first_contact = first_contact
        self.until = until
        self.start = until - HISTORY
        self.per_contact = per_contact
        self.random = Random(f"{seed}:{number}")  # noqa: S311 — a demo, not a secret
        self.country = self.random.choices(words.COUNTRIES, weights=[c.weight for c in words.COUNTRIES])[0]
        self.addresses: set[str] = set()

    def make(self, *, limit: int) -> Block:
        block = Block(self._company())
        size = min(limit, max(1, round(self.random.expovariate(1 / CONTACTS_PER_COMPANY))))
        qualities: list[float] = []
        for offset in range(size):
            contact, quality = self._contact(block.company, self.first_contact + offset)
            block.contacts.append(contact)
            qualities.append(quality)
        self._deal(block, qualities)
        buying = {number: deal for deal in block.deals for number in deal.contact_numbers}
        for contact, quality in zip(block.contacts, qualities, strict=True):
            block.activities += self._activities(contact, quality, buying.get(contact.number))
        return block

    def _company(self) -> CompanyFact:
        random, number = self.random, self.number
        stems, middles = words.COMPANY_STEMS, words.COMPANY_MIDDLES
        # 263 shares no factor with the number of pairs: every pair comes once before one comes again.
        lap, place = divmod(number, len(stems) * len(middles))
        place = (place * 263) % (len(stems) * len(middles))
        stem, middle = stems[place % len(stems)], middles[place // len(stems)]
        second = f" {stems[(lap - 1) % len(stems)]}" if lap else ""
        suffix = f" {lap // len(stems) + 1}" if lap > len(stems) else ""
        plain = f"{stem}{second} {middle}{suffix}"
        industry = random.choices([name for name, _ in words.INDUSTRIES], weights=[w for _, w in words.INDUSTRIES])[0]
        employees = max(4, round(math.exp(random.gauss(4.9, 1.1))))
        city, region = random.choice(self.country.cities)
        return CompanyFact(
            number=number,
            external_id=f"K{number:06d}",
            name=f"{plain} {words.COMPANY_FORMS[self.country.code]}",
            domain=f"{_ascii(plain).replace(' ', '-')}.example",
            industry=industry,
            # Real files have gaps: about one company in twelve does not tell.
            employees=employees if random.random() > 0.08 else None,
            revenue=Decimal(round(employees * random.uniform(110_000, 260_000), -4)) if random.random() > 0.2 else None,
            founded=random.randint(1921, 2019) if random.random() > 0.15 else None,
            country=self.country.code,
            region=region,
            city=city,
            tags=["key account"] if employees > 800 and random.random() < 0.5 else [],
            created_at=self.start,
        )

    def _contact(self, company: CompanyFact, number: int) -> tuple[ContactFact, float]:
        random, country = self.random, self.country
        role = random.choices(words.ROLES, weights=[r.weight for r in words.ROLES])[0]
        first, last = random.choice(country.first_names), random.choice(country.last_names)
        source = random.choices(_SOURCES, weights=_SOURCE_WEIGHTS)[0]
        # More people come in each month than the month before.
        created_at = self.start + HISTORY * random.uniform(0.02, 0.995) ** 0.7
        custom: dict[str, Any] = {}
        if random.random() < 0.55:
            custom["lines_in_plant"] = random.randint(1, 24)
        if random.random() < 0.5:
            custom["current_system"] = random.choice(
                ["spreadsheets", "spreadsheets", "home-grown", "competitor", "none"]
            )
        quality = role.fit * _SOURCE_QUALITY[source] * _INDUSTRY_FIT[company.industry] * random.uniform(0.5, 1.2)
        contact = ContactFact(
            number=number,
            company_number=company.number,
            external_id=f"C{number:07d}",
            email=self._address(first, last, number, company.domain),
            first_name=first,
            last_name=last,
            title=role.title if random.random() > 0.05 else "",
            department=role.department,
            seniority=role.seniority,
            phone=f"+{random.randint(1, 82)} {random.randint(100, 999)} {random.randint(1000000, 9999999)}"
            if random.random() < 0.4
            else "",
            country=country.code,
            region=company.region,
            city=company.city,
            timezone=country.zone,
            language=country.language,
            source=source,
            owner=words.SALES_PEOPLE[company.number % len(words.SALES_PEOPLE)][0] if random.random() < 0.35 else None,
            tags=[
                tag
                for tag, share in (("newsletter", 0.5), ("fair 2026", 0.06), ("partner contact", 0.03))
                if random.random() < share
            ],
            custom=custom,
            created_at=created_at,
        )
        return contact, quality

    def _address(self, first: str, last: str, number: int, domain: str) -> str:
        local = ".".join(part for part in (_ascii(first), _ascii(last).replace(" ", "")) if part) or f"contact{number}"
        address = f"{local}@{domain}"
        if address in self.addresses:
            address = f"{local}{number}@{domain}"
        self.addresses.add(address)
        return address

    def _deal(self, block: Block, qualities: list[float]) -> None:
        """At most one deal a company: the better its best people fit, the likelier, and the likelier won."""
        random = self.random
        ranked = sorted(range(len(qualities)), key=lambda i: -qualities[i])
        best = qualities[ranked[0]]
        if random.random() > 0.85 * min(1.15, best):
            return
        buyers = [block.contacts[i] for i in ranked[: random.choice((1, 1, 2, 3))]]
        opened_at = max(c.created_at for c in buyers) + timedelta(days=random.uniform(4, 70))
        if opened_at >= self.until:
            return
        closed_at = opened_at + timedelta(days=random.uniform(18, 120))
        is_closed = closed_at < self.until
        won = random.random() < 0.18 + 0.3 * min(1.3, best)
        product, price = random.choice(words.PRODUCTS)
        reasons = [r for r, _ in words.LOSS_REASONS]
        loss = random.choices(reasons, weights=[w for _, w in words.LOSS_REASONS])[0]
        block.deals.append(
            DealFact(
                number=self.number,
                external_id=f"D{self.number:06d}",
                company_number=self.number,
                contact_numbers=tuple(c.number for c in buyers),
                owner=words.SALES_PEOPLE[self.number % len(words.SALES_PEOPLE)][0],
                outcome="won" if is_closed and won else "lost" if is_closed else "open",
                amount=Decimal(round(price * random.uniform(0.7, 3.2), -2)),
                margin=Decimal(str(round(random.uniform(0.18, 0.55), 2))),
                product=product,
                opened_on=opened_at.date(),
                closed_on=closed_at.date() if is_closed else None,
                loss_reason=loss if is_closed and not won else "",
            )
        )

    def _activities(self, contact: ContactFact, quality: float, deal: DealFact | None) -> list[ActivityFact]:
        random = self.random
        number, born = contact.number, contact.created_at
        kind, subject = _FIRST_TOUCH[contact.source]
        found = [ActivityFact(number, born, kind, subject=subject, source=contact.source)]
        keen = max(0.15, random.gammavariate(1.1, 0.75) * (0.45 + quality))
        # Half of a contact's budget goes to visits, a third to mail; the rest is what the buyers do.
        visits = round(self.per_contact * 0.75 * keen)
        while visits > 0:
            visits -= self._visit(found, contact, at_most=visits)
        if "newsletter" in contact.tags or random.random() < 0.6:
            self._letters(found, contact, keen, round(self.per_contact * 0.4))
        if deal is not None:
            self._courtship(found, contact, deal)
        elif keen > 1.4 and quality > 0.55:
            self._warming(found, contact)
        if random.random() < 0.08 * keen:
            self._webinar(found, contact)
        if contact.seniority == "student":
            found.append(ActivityFact(number, self._after(born), "page_view", url=_CAREERS, source="organic_search"))
        return [activity for activity in found if activity.occurred_at <= self.until]

    def _after(self, moment: datetime) -> datetime:
        """A working hour somewhere between the moment and the end of history."""
        span = (self.until - moment) * self.random.random()
        day = moment + span
        return (
            day.replace(
                hour=self.random.choice((6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 19)), minute=self.random.randrange(60)
            )
            if span.days > 1
            else day
        )

    def _visit(self, found: list[ActivityFact], contact: ContactFact, *, at_most: int) -> int:
        """One session of one to six pages; returns how many."""
        random = self.random
        moment = self._after(contact.created_at)
        pages = random.choices(
            _PAGE_URLS, weights=_PAGE_WEIGHTS, k=min(max(1, at_most), random.choice((1, 1, 2, 3, 4, 6)))
        )
        source = random.choice((contact.source, "organic_search", "newsletter", "direct"))
        for page in pages:
            found.append(ActivityFact(contact.number, moment, "page_view", url=page, source=source))
            moment += timedelta(seconds=random.randint(15, 400))
        return len(pages)

    def _letters(self, found: list[ActivityFact], contact: ContactFact, keen: float, most: int) -> None:
        """The monthly letter: sent, perhaps opened, perhaps clicked; a few leave or bounce."""
        random = self.random
        months = int((self.until - contact.created_at).days / 30)
        for issue in range(max(0, months - most // 2), months):
            sent = contact.created_at + timedelta(days=30 * issue + 20, hours=random.uniform(0, 3))
            subject = f"{words.NEWSLETTERS} {sent:%Y-%m}"
            found.append(ActivityFact(contact.number, sent, "email_sent", subject=subject, source="newsletter"))
            if random.random() < 0.004:
                found.append(
                    ActivityFact(contact.number, sent + timedelta(seconds=20), "email_bounce", subject=subject)
                )
                return
            if random.random() < min(0.8, 0.25 + 0.15 * keen):
                opened = sent + timedelta(hours=random.expovariate(1 / 9))
                found.append(ActivityFact(contact.number, opened, "email_open", subject=subject))
                if random.random() < min(0.5, 0.09 * keen):
                    clicked = opened + timedelta(minutes=random.uniform(0.2, 4))
                    found.append(
                        ActivityFact(
                            contact.number, clicked, "email_click", subject=subject, url=random.choice(_PAGE_URLS)
                        )
                    )
                elif random.random() < 0.006:
                    found.append(ActivityFact(contact.number, opened, "email_unsubscribe", subject=subject))
                    return

    def _webinar(self, found: list[ActivityFact], contact: ContactFact) -> None:
        random = self.random
        title, moment = random.choice(words.WEBINARS), self._after(contact.created_at)
        found.append(ActivityFact(contact.number, moment, "webinar_registered", subject=title))
        if random.random() < 0.55:
            minutes = random.randint(8, 55)
            found.append(
                ActivityFact(
                    contact.number,
                    moment + timedelta(days=4),
                    "webinar_attended",
                    subject=title,
                    properties={"minutes": minutes},
                )
            )

    def _warming(self, found: list[ActivityFact], contact: ContactFact) -> None:
        """Somebody is becoming ripe lately: prices, a data sheet, a film, perhaps a demo."""
        random = self.random
        moment = max(contact.created_at, self.until - timedelta(days=random.uniform(0.2, 60)))
        found += [
            ActivityFact(contact.number, moment + timedelta(hours=9 * step), "page_view", url=_PRICING, source="direct")
            for step in range(random.randint(2, 4))
        ]
        found.append(
            ActivityFact(
                contact.number, moment + timedelta(hours=2), "download", subject=random.choice(words.DOWNLOADS)
            )
        )
        if random.random() < 0.4:
            found.append(
                ActivityFact(
                    contact.number,
                    moment + timedelta(hours=5),
                    "video_watched",
                    subject=random.choice(words.VIDEOS),
                    properties={"percent": random.randint(30, 100)},
                )
            )
        if random.random() < 0.25:
            found.append(
                ActivityFact(contact.number, moment + timedelta(hours=20), "demo_booked", subject="Line Monitor demo")
            )

    def _courtship(self, found: list[ActivityFact], contact: ContactFact, deal: DealFact) -> None:
        """What somebody does around a deal: reads prices before, meets during, buys at the end."""
        random = self.random
        opened = datetime.combine(deal.opened_on, self.until.timetz()).replace(hour=10)
        before = max(timedelta(hours=1), opened - contact.created_at)
        for _ in range(random.randint(2, 5)):
            moment = opened - min(before, timedelta(days=random.uniform(0.5, 12)))
            found.append(ActivityFact(contact.number, moment, "page_view", url=_PRICING, source="direct"))
        found.append(
            ActivityFact(
                contact.number, opened - min(before, timedelta(days=3)), "demo_booked", subject=f"{deal.product} demo"
            )
        )
        found.append(ActivityFact(contact.number, opened, "form_submit", subject="Request a quote"))
        for week in range(random.randint(1, 4)):
            moment = opened + timedelta(days=6 * week + 1, hours=random.uniform(0, 6))
            if deal.closed_on is not None and moment.date() > deal.closed_on:
                break
            kind = random.choice(("call", "meeting", "reply"))
            found.append(ActivityFact(contact.number, moment, kind, subject=f"{deal.product} with {deal.owner}"))
        if deal.outcome == "won" and deal.closed_on is not None:
            moment = datetime.combine(deal.closed_on, self.until.timetz()).replace(hour=15)
            found.append(
                ActivityFact(
                    contact.number, moment, "purchase", subject=deal.product, properties={"amount": int(deal.amount)}
                )
            )


def _ascii(text: str) -> str:
    """Lower-case letters, digits and blanks only; ü becomes ue as German addresses write it."""
    for umlaut, spelt in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ł", "l")):
        text = text.lower().replace(umlaut, spelt)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(char for char in plain if char.isalnum() or char == " ").strip()
