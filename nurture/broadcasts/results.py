"""How far a broadcast is and what came of it, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.figures import FRESH_UP_TO, Figures, figures
from nurture.broadcasts import queries, sheet, winner
from nurture.mailing.sending import why_words
from nurture.models import Broadcast, BroadcastVariant
from nurture.tracking.queries import Scope, last_mails, last_mails_of_broadcast, people_by_template

SELDOM = 200  # one in so many


@dataclass(frozen=True)
class Progress:
    """People of the frozen audience; together they are all of it, but for those who are gone."""

    total: int
    sent: int = 0
    bounced: int = 0
    uncertain: int = 0
    not_sent: int = 0
    in_outbox: int = 0
    to_come: int = 0
    gone: int = 0

    @property
    def percent_done(self) -> int:
        over = self.total - self.in_outbox - self.to_come
        return min(100, 100 * over // self.total) if self.total else 0


def progress(broadcast: Broadcast) -> Progress:
    """One statement over an index of the mails."""
    mails = queries.mails_of(broadcast.pk)
    to_come, by_state = mails.people - mails.queued, mails.by_state
    return Progress(
        mails.people,
        sent=mails.sent,
        bounced=by_state.get("bounced", 0),
        uncertain=by_state.get("uncertain", 0),
        not_sent=by_state.get("not_sent", 0) + (to_come if broadcast.state == Broadcast.State.CANCELLED else 0),
        in_outbox=sum(by_state.get(state, 0) for state in ("queued", "held", "sending")),
        to_come=to_come if broadcast.is_under_way else 0,
        gone=to_come if broadcast.state == Broadcast.State.DONE else 0,
    )


def reasons(broadcast: Broadcast) -> list[tuple[str, int]]:
    """Why mails did not leave or wait, in words. One statement."""
    return [(why_words(why), number) for why, number in queries.why_not_sent(broadcast.pk)]


@dataclass(frozen=True)
class Row:
    """One variant: numbers of people; shares of those whose opens and clicks are noted."""

    variant: BroadcastVariant
    people: dict[str, int]
    has_won: bool

    @property
    def people_url(self) -> str:
        """Everybody whom it reached; with `which` those behind a number."""
        asked = {"template": self.variant.template.slug, "broadcast": self.variant.broadcast.slug}
        return f"{reverse('nurture:result-people')}?{urlencode(asked)}"

    @property
    def open_rate(self) -> float | None:
        return self._share("opened")

    @property
    def click_rate(self) -> float | None:
        return self._share("clicked")

    def _share(self, which: str) -> float | None:
        noted = self.people.get("tracked", 0)
        return min(100.0, 100 * self.people[which] / noted) if noted else None


def people(broadcast: Broadcast, *, now: datetime, wait: bool) -> Figures[dict[int, dict[str, int]]] | None:
    """Template -> number -> people. One statement over the mails that left (2 to 3 s for a million); of a large audience kept for ten
    minutes: None while there are none yet and nobody waits."""

    def work() -> dict[int, dict[str, int]]:
        return people_by_template(Scope(broadcast_id=broadcast.pk))

    if broadcast.counts.get("in", 0) <= FRESH_UP_TO:
        return Figures(work(), now, is_kept=False)
    return figures(f"broadcast:{broadcast.pk}", work, now=now, wait=wait)


def people_at_once(broadcast: Broadcast, *, now: datetime) -> Figures[dict[int, dict[str, int]]]:
    """The same for a page that has no later part."""
    found = people(broadcast, now=now, wait=True)
    return found or Figures(people_by_template(Scope(broadcast_id=broadcast.pk)), now, is_kept=False)


def mails_behind(
    broadcast: Broadcast, template_id: int, which: str, *, people: Mapping[str, int], before: int | None, limit: int
) -> list[int]:
    """Of each person behind a number of a variant their newest mail, newest first. One statement, none for nobody: along the mails until
    a page is full, but over all of them for what happens to few."""
    if not people.get(which):
        return []
    look = last_mails if people[which] * SELDOM < people["sent"] else last_mails_of_broadcast
    return look(Scope(template_id=template_id, broadcast_id=broadcast.pk), which, before=before, limit=limit)


def by_variant(
    broadcast: Broadcast, variants: Sequence[BroadcastVariant], found: Mapping[int, dict[str, int]]
) -> list[Row]:
    return [Row(one, found.get(one.template_id, {}), has_won=one.key == broadcast.winner) for one in variants]


def test_words(broadcast: Broadcast, now: datetime) -> str:
    """How it stands about the winner, in a sentence."""
    if broadcast.test_percent is None:
        return ""
    rest = sheet.rest_of(broadcast)
    who = ngettext("%(n)s person waits for it.", "%(n)s people wait for it.", rest) % {"n": f"{rest:,}"}
    if broadcast.winner:
        letter = {"letter": broadcast.winner.upper()}
        if broadcast.decided_by_id is None:
            return _("Variant %(letter)s won by the rule; the rest gets it.") % letter
        return _("Variant %(letter)s was chosen by hand; the rest gets it.") % letter
    if broadcast.state == Broadcast.State.CANCELLED:
        return _("It was cancelled before a winner was found; the rest gets nothing.")
    looks_at = winner.looks_at(broadcast)
    if looks_at is None:
        return _("The test is on its way.") + " " + who
    if now < looks_at:
        return (
            _("The test is out; the winner is looked for at %(moment)s.") % {"moment": sheet.moment_words(looks_at)}
            + " "
            + who
        )
    return (
        _("Not every variant has reached enough people yet: it is looked for each ten minutes, or choose it yourself.")
        + " "
        + who
    )


def lead_words(broadcast: Broadcast, people: Mapping[int, Mapping[str, int]]) -> str:
    """Which variant is ahead by opens or clicks, and whether that is more than luck; empty where nothing is compared by them."""
    if broadcast.test_percent is None or broadcast.winner_by == Broadcast.WinnerBy.CONDITION:
        return ""
    found = winner.lead(winner.by_response(broadcast, people))
    if found is None or not found[1].difference:
        return ""
    letter, lift = found[0].upper(), found[1].in_percent()
    about = {
        "letter": letter,
        "points": f"{lift['difference']:.1f}",
        "low": f"{lift['low']:.1f}",
        "high": f"{lift['high']:.1f}",
    }
    if found[1].is_sure:
        return (
            _(
                "%(letter)s is %(points)s points ahead, more than luck explains (between %(low)s and %(high)s, 95 %% sure)."
            )
            % about
        )
    return _("%(letter)s is %(points)s points ahead; with so few people that may be luck.") % about
