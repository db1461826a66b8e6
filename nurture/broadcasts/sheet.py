"""What a broadcast is in words: who stays out and why, how it leaves, what keeps it from being sent and what is doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Prefetch, prefetch_related_objects
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.models import Contact, Purpose, Workspace
from leads.workspace import workspace, zone
from nurture.broadcasts import timing
from nurture.mailing.carriers import configured
from nurture.mailing.sending import problem_of_setup, why_words
from nurture.models import Broadcast, BroadcastRecipient, BroadcastVariant, MailBudget, Sending, Template, TrackingRule
from nurture.templating import proofreading, translations
from nurture.templating.placeholders import context_for
from nurture.templating.readers import Readers
from nurture.templating.rendering import BadTemplate, Mail, compiled
from nurture.templating.stationery import Cupboard
from nurture.tracking.actions import defaults

REASONS = {  # why somebody stays out -> words
    "kept_out": gettext_lazy("in a segment that is kept out"),
    "no_address": gettext_lazy("no e-mail address"),
    "same_address": gettext_lazy("same address as another contact, who gets it"),
    "bounced": gettext_lazy("mail to the address bounced before"),
    "complained": gettext_lazy("complaint about an earlier mail"),
    "by_hand": gettext_lazy("suppressed by hand"),
    "domain": gettext_lazy("address at a domain that nobody is mailed at"),
    "role": gettext_lazy("address of a role, not of a person"),
    "withdrawn": gettext_lazy("consent withdrawn"),
    "not_confirmed": gettext_lazy("asked for consent, never confirmed"),
    "no_consent": gettext_lazy("no consent to this purpose"),
    "quiet_country": gettext_lazy("lives where this purpose needs a yes, and gave none"),
    "paused": gettext_lazy("a pause from mail, at their own wish"),
    "frequency": gettext_lazy("as many mails in these days as allowed"),
}
MANY_DAYS = 7  # a rate by which it takes longer is said


@dataclass(frozen=True)
class Problem:
    words: str
    blocks: bool = True
    url: str = ""  # where it is mended, by whoever has the right
    right: str = "edit_rules"


@dataclass(frozen=True)
class LeftOut:
    reason: str
    words: str
    people: int


def words_of(reason: str) -> str:
    """Why somebody stays out; nothing for those who do not."""
    return str(REASONS[reason]) if reason in REASONS else why_words(reason)


def left_out(broadcast: Broadcast) -> list[LeftOut]:
    """Reasons with their numbers, the most first."""
    others = ("in", "queued")
    found = [(key, number) for key, number in broadcast.counts.items() if key not in others and ":" not in key]
    rows = [LeftOut(reason, words_of(reason), number) for reason, number in found if number]
    return sorted(rows, key=lambda row: (-row.people, row.reason))


def rest_of(broadcast: Broadcast) -> int:
    """Who waits for the winner."""
    return int(broadcast.counts.get("in:", 0))


# --- How it leaves -------------------------------------------------------------------------------------------------------------------


def when_words(broadcast: Broadcast) -> str:
    """When mails leave, in one or two sentences."""
    if broadcast.timing == Broadcast.Timing.AT and broadcast.starts_at:
        return _("From %(moment)s on.") % {"moment": moment_words(broadcast.starts_at)}
    if broadcast.timing == Broadcast.Timing.LOCAL and broadcast.local_on and broadcast.local_time:
        words = _("On %(day)s at %(hour)s on each reader's own clock; without a zone, on the workspace's.") % {
            "day": date_format(broadcast.local_on),
            "hour": time_format(broadcast.local_time),
        }
        late = (
            _("Where that is over when it begins, they get it at once.")
            if broadcast.late == Broadcast.Late.AT_ONCE
            else _("Where that is over when it begins, they get it at that hour of the next day.")
        )
        return f"{words} {late}"
    return _("As soon as you say “send”.")


def moment_words(moment: datetime) -> str:
    """On the workspace's clock."""
    return date_format(timezone.localtime(moment, zone()), "SHORT_DATETIME_FORMAT")


def pace_words(broadcast: Broadcast) -> str:
    if broadcast.per_hour is None:
        return _("As fast as mail leaves.")
    words = _("At most %(n)s an hour.") % {"n": f"{broadcast.per_hour:,}"}
    people = broadcast.counts.get("in", 0)
    if not people:
        return words
    hours = people / broadcast.per_hour
    if hours < 1:
        return f"{words} " + _("For this audience less than an hour.")
    number = round(hours)
    return f"{words} " + ngettext(
        "For this audience about %(n)d hour.", "For this audience about %(n)d hours.", number
    ) % {"n": number}


def limits_words(broadcast: Broadcast, home: Workspace) -> str:
    """The window and the budget, in words. One statement."""
    budget = MailBudget.objects.first()
    words = []
    if home.mail_days or home.mail_start is not None or home.mail_end is not None:
        words.append(_("Only in the hours in which mail leaves, on the reader's clock."))
    if budget is not None and broadcast.is_budgeted:
        words.append(
            _("Nobody gets more than %(mails)d mails in %(days)d days by it.")
            % {"mails": budget.mails, "days": budget.days}
        )
    if budget is not None and not broadcast.is_budgeted:
        words.append(_("Outside the budget of mails."))
    return " ".join(words) or _("No hours and no budget of mails are set.")


def winner_words(broadcast: Broadcast) -> str:
    if broadcast.test_percent is None:
        return ""
    what = {
        Broadcast.WinnerBy.OPENS.value: _("the most opened one"),
        Broadcast.WinnerBy.CLICKS.value: _("the most clicked one"),
        Broadcast.WinnerBy.CONDITION.value: _("the one after which most people meet the condition"),
    }[broadcast.winner_by]
    hours, least = broadcast.winner_hours or 0, broadcast.winner_at_least or 1
    later = ngettext("%(n)d hour later", "%(n)d hours later", hours) % {"n": hours}
    reached = ngettext("%(n)s person who counts", "%(n)s people who count", least) % {"n": f"{least:,}"}
    return _(
        "%(percent)d %% get one of the variants; %(later)s the rest gets %(what)s, once each variant has reached %(reached)s."
    ) % {"percent": broadcast.test_percent, "later": later, "what": what, "reached": reached}


# --- What is in the way --------------------------------------------------------------------------------------------------------------


def load_variants(broadcast: Broadcast) -> list[BroadcastVariant]:
    """With their templates. One statement, once for each broadcast at hand."""
    rows = BroadcastVariant.objects.select_related("template")
    prefetch_related_objects([broadcast], Prefetch("variants", rows))
    return list(broadcast.variants.all())


def problems(broadcast: Broadcast, reader: Contact | None, now: datetime) -> list[Problem]:
    """What blocks “send”, then what is doubtful. Some eight statements, the mail rendered once a variant as `reader` gets it."""
    home = workspace()
    load_variants(broadcast)
    purpose = Purpose.objects.filter(slug=broadcast.purpose).first()
    is_operational = purpose is not None and purpose.basis == Purpose.Basis.CONTRACT
    found = [*_of_audience(broadcast), *_of_setup(home, is_operational), *_of_mails(broadcast, reader, home, now)]
    found += [*_of_test(broadcast), *_of_moment(broadcast, now), *_of_limits(broadcast)]
    if is_operational:
        words = _("The purpose is part of a contract: it reaches people who unsubscribed, and nobody can leave it.")
        found.append(Problem(words, blocks=False))
    return sorted(found, key=lambda problem: not problem.blocks)


def _of_audience(broadcast: Broadcast) -> list[Problem]:
    if broadcast.state == Broadcast.State.COUNTED and not broadcast.counts.get("in"):
        return [Problem(_("Nobody would get it: the segments are empty, or everybody stays out."))]
    return []


def _of_setup(home: Workspace, is_operational: bool) -> list[Problem]:
    found = []
    if not home.postal_address.strip() and not is_operational:
        found.append(
            Problem(
                _("The workspace has no postal address: every marketing mail needs one. Settings hold it."),
                url=reverse("leads:settings"),
                right="configure",
            )
        )
    server = configured()
    if words := problem_of_setup(server, home):
        found.append(Problem(words, url=reverse("leads:settings"), right="configure"))
    if server is None:
        words = _("No mail server is set (EMAIL_URL): the mails are written and kept in the outbox, and leave nowhere.")
        found.append(Problem(words, blocks=False))
    return found


def _of_mails(broadcast: Broadcast, reader: Contact | None, home: Workspace, now: datetime) -> list[Problem]:
    cupboard = Cupboard()
    return [
        problem
        for variant in load_variants(broadcast)
        for problem in _of_mail(variant.template, broadcast, reader, home, cupboard, now)
    ]


def _of_mail(
    template: Template, broadcast: Broadcast, reader: Contact | None, home: Workspace, cupboard: Cupboard, now: datetime
) -> list[Problem]:
    """What its reading found; where nothing of that is in the way, what the first reader would get."""
    name = {"name": template.name}
    url = reverse("nurture:template-edit", args=[template.slug])
    if template.archived_at is not None:
        return [Problem(_("The template “%(name)s” is in the archive.") % name, url=url)]
    read = proofreading.kept(template, cupboard)
    found = [Problem(f"“{template.name}”: {finding.words}", finding.blocks, url) for finding in read]
    if not any(problem.blocks for problem in found):
        found += _as_read(template, reader, home, now, url)
    if template.purpose != broadcast.purpose:
        words = _("“%(name)s” was written for another purpose than this broadcast has.") % name
        found.append(Problem(words, blocks=False))
    return found


def _as_read(template: Template, reader: Contact | None, home: Workspace, now: datetime, url: str) -> list[Problem]:
    name = {"name": template.name}
    try:
        mail = mail_for(template, reader, home, now)
    except BadTemplate as error:
        return [Problem(_("“%(name)s” cannot be written: %(why)s") % {**name, "why": error}, url=url)]
    if not mail.subject.strip():
        return [Problem(_("“%(name)s” has no subject for the first reader.") % name, url=url)]
    return []


def _of_test(broadcast: Broadcast) -> list[Problem]:
    if broadcast.test_percent is None:
        return []
    found = []
    variants = list(broadcast.variants.all())
    if broadcast.winner_by in (Broadcast.WinnerBy.OPENS, Broadcast.WinnerBy.CLICKS):
        silent = TrackingRule.objects.filter(template__in=[variant.template_id for variant in variants], is_off=True)
        if not defaults().is_on or silent.exists():
            found.append(Problem(_("Opens and clicks are not noted, so no winner can be found by them.")))
    smallest = min(broadcast.counts.get(f"in:{variant.key}", 0) for variant in variants)
    if broadcast.state == Broadcast.State.COUNTED and smallest < (broadcast.winner_at_least or 1):
        words = ngettext(
            "The smallest variant goes to %(n)s person, fewer than a winner needs: you will have to choose it yourself.",
            "The smallest variant goes to %(n)s people, fewer than a winner needs: you will have to choose it yourself.",
            smallest,
        ) % {"n": f"{smallest:,}"}
        found.append(Problem(words, blocks=False))
    return found


def _of_moment(broadcast: Broadcast, now: datetime) -> list[Problem]:
    found = []
    if broadcast.timing == Broadcast.Timing.AT and broadcast.starts_at and broadcast.starts_at < now:
        found.append(Problem(_("Its moment is over: it would leave at once."), blocks=False))
    if broadcast.timing == Broadcast.Timing.LOCAL and broadcast.local_on and broadcast.local_time:
        last = datetime.combine(broadcast.local_on, broadcast.local_time, now.tzinfo) + timedelta(hours=12)
        if last < now:
            found.append(Problem(_("That day and hour are over everywhere."), blocks=False))
    if broadcast.per_hour and broadcast.counts.get("in", 0) > MANY_DAYS * 24 * broadcast.per_hour:
        days = round(broadcast.counts["in"] / (24 * broadcast.per_hour))
        found.append(Problem(_("At this rate it takes about %(n)s days.") % {"n": f"{days:,}"}, blocks=False))
    if broadcast.counted_at is not None and now - broadcast.counted_at > timedelta(days=1):
        words = _("The audience was counted on %(moment)s: who came since does not get it. Count again if they should.")
        found.append(Problem(words % {"moment": moment_words(broadcast.counted_at)}, blocks=False))
    return found


def _of_limits(broadcast: Broadcast) -> list[Problem]:
    if broadcast.is_budgeted or not MailBudget.objects.exists():
        return []
    words = _("It stands outside the budget of mails: people may get more mails in these days than you allowed.")
    return [Problem(words, blocks=False)]


# --- The mail as somebody gets it ------------------------------------------------------------------------------------------------------


def example_of(broadcast: Broadcast) -> Contact | None:
    """The first person of the audience; before it is counted, the newest contact with an address. One statement, two then."""
    place = (
        BroadcastRecipient.objects.filter(broadcast=broadcast, why="")
        .select_related("contact__company", "contact__owner")
        .order_by("id")
        .first()
    )
    if place is not None:
        return place.contact
    people = Contact.objects.select_related("company", "owner").exclude(email=None)
    return people.order_by("-created_at", "-id").first()


def mail_for(template: Template, contact: Contact | None, home: Workspace, now: datetime) -> Mail:
    """As the contact would get it. Raises BadTemplate."""
    words = compiled(template, translations.chosen(template, "", contact.language if contact else ""))
    link = "https://example.com/"
    values = context_for(contact, workspace=home, unsubscribe_url=link, preferences_url=link)
    values |= Readers([Sending(contact=contact)], at=now).about(Sending(contact=contact), template, words)
    return words.fill(values)


def subject_for(template: Template, contact: Contact | None, home: Workspace, now: datetime) -> str:
    """As the contact reads it; empty where the mail cannot be written."""
    try:
        return mail_for(template, contact, home, now).subject
    except BadTemplate:
        return ""


def begins_words(broadcast: Broadcast, now: datetime) -> str:
    """For the button's side: now, or the moment."""
    begins = timing.begins_at(broadcast, now)
    return "" if begins <= now else moment_words(begins)
