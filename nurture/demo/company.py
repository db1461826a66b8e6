"""Sets the demo company up through the same actions as the browser: workspace, fields, segments, personas, score model, mails, programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from leads.actions import make_custom_field
from leads.models import Contact, Owner
from leads.workspace import workspace
from nurture import actions as programs
from nurture.demo import definitions
from nurture.demo.bant import set_up_lifecycle
from nurture.models import Program, ProgramVersion, Template
from nurture.publication import publishing
from scoring import actions as scoring
from scoring.models import ScoreModel, ScoreVersion
from segments.actions import save_segment
from segments.models import Persona, Segment
from segments.personas import create_persona


def set_up_workspace() -> None:
    """The company that the demo plays."""
    home = workspace()
    home.name = "Kestrel Instruments"
    home.postal_address = "Kestrel Instruments GmbH\nLindenweg 14\n70565 Stuttgart\nGermany"
    home.timezone = "Europe/Berlin"
    home.currency = "EUR"
    home.sender_name = "Kestrel Instruments"
    home.sender_email = "letter@kestrel.example"
    home.save()


def set_up_rules(*, now: datetime, today: date, actor: User | None, owner: User | None) -> None:
    """Fields, segments in the order in which they read each other, personas (one overdue for its review), the score model, published.

    `owner` answers for the segments.
    """
    for field in definitions.FIELDS:
        make_custom_field(
            field["of"], actor=actor, now=now, **{key: value for key, value in field.items() if key != "of"}
        )
    for segment in definitions.SEGMENTS:
        save_segment(None, actor=actor, now=now, owner=owner, **segment)
    save_segment(None, name="Advisory circle", slug="advisory-circle", mode=Segment.Mode.FIXED, folder="People", conditions=None,
                 notes="Customers who read drafts and say what is missing. By invitation.", owner=owner, actor=actor, now=now)  # fmt: skip
    for place, persona in enumerate(definitions.PERSONAS):
        values = {key: value for key, value in persona.items() if key != "slug"}
        made = create_persona(values=_all_values(values), actor=actor, now=now)
        Persona.objects.filter(pk=made.pk).update(
            slug=persona["slug"], reviewed_on=today - timedelta(days=100 - 40 * place)
        )
    model = ScoreModel.objects.get(is_default=True)
    ScoreVersion.objects.filter(model=model, number=1).update(published_at=now)
    draft = scoring.draft_of(model, now=now)
    for group, name, points, conditions in definitions.RULES:
        scoring.save_rule(
            draft, group=group, name=name, conditions=conditions, points=Decimal(points), now=now, actor=actor,
            counting=definitions.COUNTINGS.get(name),
        )  # fmt: skip
    scoring.change_lines(
        draft,
        threshold=Decimal(75),
        fit_lines=definitions.FIT_LINES,
        behaviour_lines=definitions.BEHAVIOUR_LINES,
        now=now,
        actor=actor,
    )
    scoring.change_hand_off(
        draft, hands_over=True, lower_line=definitions.LOWER_LINE, conditions=definitions.HAND_OFF, now=now, actor=actor
    )
    draft.refresh_from_db()
    scoring.publish(draft, reason="The lines that sales and marketing agreed on", now=now, actor=actor)
    set_up_lifecycle(now=now, actor=actor)


def _all_values(values: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "name": "", "job": "", "role": "", "day": "", "background": "", "goals": "", "motivations": [], "end_goals": "",
        "obstacles_external": "", "obstacles_internal": "", "obstacles_philosophical": "", "objections": "", "conditions": None,
        "status": Persona.Status.DRAFT,
    }  # fmt: skip
    return empty | values


def set_up_routing(*, now: datetime, actor: User | None) -> None:
    """Who gets a lead that the contact's own owner does not take: larger plants go to one person, the others in turn."""
    people = list(Owner.objects.order_by("pk"))
    rules: tuple[tuple[str, Any, str, list[Owner]], ...] = (
        ("Larger plants to the key accounts", {"in_segment": "larger-plants"}, "owner", people[:1]),
        ("The others in turn", None, "team", people[1:]),
    )
    for name, conditions, target, owners in rules:
        scoring.save_routing_rule(
            None, name=name, model=None, conditions=conditions, target=target, owners=owners, is_active=True,
            actor=actor, now=now,
        )  # fmt: skip


def set_up_mails(*, now: datetime, actor: User | None) -> None:
    for mail in definitions.TEMPLATES:
        programs.save_template(None, actor=actor, now=now, **mail)


class Programs:
    """The demo's programs, each started on its day."""

    def __init__(self, *, made_at: datetime, actor: User | None) -> None:
        self._waiting = []
        for program in definitions.PROGRAMS:
            made = programs.create_program(
                name=program["name"], slug=program["slug"], notes=program["notes"], document=program["tree"],
                trigger_segment=Segment.objects.get(slug=program["segment"]), actor=actor, now=made_at,
            )  # fmt: skip
            self._waiting.append((program["days_before"], program["intake"], made))

    def start_due(self, *, days_left: float, now: datetime, actor: User | None) -> Iterator[Program]:
        """Publish those whose day has come."""
        for entry in [one for one in self._waiting if one[0] >= days_left]:
            self._waiting.remove(entry)
            draft = entry[2].versions.get(state=ProgramVersion.State.DRAFT)
            publishing.publish(draft, edit_number=draft.edit_number, intake=entry[1], since=None, actor=actor, now=now)
            yield entry[2]


def is_empty() -> bool:
    """Whether nobody would lose anything: no contact, no segment, no template."""
    return not (Contact.objects.exists() or Segment.objects.exists() or Template.objects.exists())
