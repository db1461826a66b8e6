"""What happens to the links of one mail: by the workspace, its template and program, and what its reader wants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings

from leads import consent
from leads.models import MailPreference
from nurture.models import Sending, TrackingDefaults
from nurture.templating.rendering import Mail
from nurture.tracking import links, queries
from nurture.tracking.codes import PIXEL, TRAP, Place, seal

UTM_KEYS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
WORDS = ("template", "program", "purpose")  # in braces, in the values


@dataclass(frozen=True)
class Plan:
    """For one mail. Untracked mails get their values, too: those tell a page about a campaign, not us about a person."""

    sending_id: int = 0
    is_on: bool = False
    tracks_text: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    domains: Sequence[str] = ()
    language: str = ""  # that its reader asked for on the preference page

    def with_values(self, mail: Mail, hosts: Collection[str]) -> Mail:
        """The mail as it is stored and shown."""
        if not self.values:
            return mail
        fresh: dict[str, str] = {}

        def change(place: int, address: str) -> str | None:
            if not links.may_lead_by_us(address, hosts) or (
                self.domains and not links.is_below(links.host_of(address), self.domains)
            ):
                return None
            fresh[address] = links.with_values(address, self.values)
            return fresh[address]

        html = links.rewritten(mail.html, change)
        return replace(mail, html=html, text=links.in_text(mail.text, fresh))

    def leading_by_us(self, mail: Mail, hosts: Collection[str]) -> Mail:
        """The mail as it leaves: links that lead by us, a pixel, and a link that nobody sees."""
        if not self.is_on:
            return mail
        fresh: dict[str, str] = {}

        def change(place: int, address: str) -> str | None:
            if place >= TRAP or not links.may_lead_by_us(address, hosts):
                return None
            short = self._address(place)
            fresh.setdefault(address, short)
            return short

        html = links.rewritten(mail.html, change)
        text = links.in_text(mail.text, fresh) if self.tracks_text else mail.text
        return replace(mail, html=_before_the_end(html, self._marks()), text=text)

    def _address(self, place: int) -> str:
        return f"{settings.PUBLIC_URL}/e/{seal(Place(self.sending_id, place))}"

    def _marks(self) -> str:
        trap = (
            f'<a href="{self._address(TRAP)}" style="display:none" tabindex="-1" aria-hidden="true" rel="nofollow"></a>'
        )
        size = 'width="1" height="1" alt="" style="border:0;height:1px;width:1px"'
        return f'{trap}<img src="{self._address(PIXEL)}.gif" {size}>'


UNTOUCHED = Plan()


def _before_the_end(html: str, marks: str) -> str:
    place = html.rfind("</body>")
    if place < 0:
        place = html.lower().rfind("</body>")
    return html[:place] + marks + html[place:] if place >= 0 else html + marks


def plans(sendings: Sequence[Sending]) -> dict[int, Plan]:
    """Sending -> plan; their contacts and templates are loaded. One statement."""
    rules = queries.rules_of([sending.pk for sending in sendings])
    return {sending.pk: _plan(sending, rules[sending.pk]) for sending in sendings if sending.pk in rules}


def _plan(sending: Sending, rule: queries.Rule) -> Plan:
    home = rule.home
    words = {"template": sending.template.slug, "program": rule.program, "purpose": sending.purpose}
    utm = {**home.utm, **(rule.of_program or {}), **(rule.of_template or {})}
    return Plan(
        sending.pk,
        is_on=home.is_on and not rule.is_off and _may_note(sending, home, rule.wish),
        tracks_text=home.tracks_text,
        values={key: value for key in UTM_KEYS if (value := filled(str(utm.get(key, "")), words))},
        domains=home.utm_domains,
        language=rule.language,
    )


def filled(value: str, words: Mapping[str, str]) -> str:
    """`{program}` and the like exchanged; a value of which nothing is left is not added."""
    for word in WORDS:
        value = value.replace(f"{{{word}}}", words.get(word, ""))
    return value.strip()


def _may_note(sending: Sending, home: TrackingDefaults, wish: str) -> bool:
    """Marketing to somebody who said yes, or said nothing and lives where nobody has to ask."""
    if sending.is_test or sending.is_operational or sending.contact_id is None or wish == MailPreference.Tracking.NO:
        return False
    return (
        wish == MailPreference.Tracking.YES
        or consent.country_of(sending.address, sending.contact) not in home.quiet_countries
    )
