"""Personas: what people may do with them, when a review is due, and the sixteen desires that move a buyer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import audit
from leads.queries_vocabulary import own_definitions
from segments import graph
from segments.conditions import BadConditions, check
from segments.models import Persona

REVIEW_EVERY = timedelta(days=91)  # sales and marketing look at each persona once a quarter (BRIEF)

# The sixteen basic desires of Steven Reiss: slug, word, what it looks like at work.
MOTIVATIONS = (
    ("power", gettext_lazy("Power"), gettext_lazy("wants to decide, to lead, to have an effect")),
    ("curiosity", gettext_lazy("Curiosity"), gettext_lazy("wants to understand how it works")),
    ("acceptance", gettext_lazy("Acceptance"), gettext_lazy("wants to be valued and not to be blamed")),
    ("order", gettext_lazy("Order"), gettext_lazy("wants plans, rules and tidy processes")),
    ("saving", gettext_lazy("Saving"), gettext_lazy("wants to keep what is there and waste nothing")),
    ("honour", gettext_lazy("Honour"), gettext_lazy("wants to keep promises and do what is proper")),
    ("idealism", gettext_lazy("Idealism"), gettext_lazy("wants the world to become fairer")),
    ("social_contact", gettext_lazy("Social contact"), gettext_lazy("wants to work with people, not alone")),
    ("family", gettext_lazy("Family"), gettext_lazy("wants to be at home in time and care for their own")),
    ("status", gettext_lazy("Status"), gettext_lazy("wants to be seen beside the best")),
    ("independence", gettext_lazy("Independence"), gettext_lazy("wants to rely on nobody else")),
    ("tranquillity", gettext_lazy("Tranquillity"), gettext_lazy("wants to be safe and without worry")),
    ("vengeance", gettext_lazy("Winning"), gettext_lazy("wants to beat a rival and settle a score")),
    ("activity", gettext_lazy("Activity"), gettext_lazy("wants to move and to use their strength")),
    ("eating", gettext_lazy("Eating"), gettext_lazy("enjoys good food and shared meals")),
    ("romance", gettext_lazy("Beauty"), gettext_lazy("is drawn to what is beautiful")),
)
_MOTIVATION = {slug: (word, hint) for slug, word, hint in MOTIVATIONS}

WORDS_OF_PERSONA = (
    "name", "job", "role", "day", "background", "goals", "motivations", "end_goals", "obstacles_external",
    "obstacles_internal", "obstacles_philosophical", "objections", "status", "conditions",
)  # fmt: skip
_ASSIGNING = frozenset({Persona.Status.ON_TEST, Persona.Status.AGREED})


class PersonaRefused(Exception):
    """Not done; the text says why in words for people."""


class EditedMeanwhile(PersonaRefused):
    """Somebody else saved first. `theirs` is the row as it stands now."""

    def __init__(self, theirs: Persona) -> None:
        super().__init__(_("Somebody else saved this persona meanwhile."))
        self.theirs = theirs


@dataclass(frozen=True)
class Motivation:
    slug: str
    word: str
    hint: str


def motivations_of(persona: Persona) -> list[Motivation]:
    """In the persona's own order; a word that is not in the list (an import wrote it) is shown as it stands."""
    return [
        Motivation(slug, *(str(text) for text in _MOTIVATION.get(slug, (slug, "")))) for slug in persona.motivations
    ]


def review_due_on(persona: Persona) -> date | None:
    """The day by which it should be looked at again; None while nobody has agreed to it or once it is retired."""
    if persona.status not in _ASSIGNING:
        return None
    return (persona.reviewed_on or persona.created_at.date()) + REVIEW_EVERY


def is_overdue(persona: Persona, *, today: date) -> bool:
    due_on = review_due_on(persona)
    return due_on is not None and due_on < today


def create_persona(*, values: Mapping[str, Any], actor: User | None, now: datetime) -> Persona:
    """A new persona at the end of the order, with a slug made of its name."""
    with transaction.atomic():
        own_definitions()
        last = Persona.objects.order_by("-position").values_list("position", flat=True).first()
        persona = Persona(slug=_free_slug(values["name"]), position=1 if last is None else last + 1, created_at=now)
        _write(persona, values, now=now)
        _refuse_rule(persona)
        persona.save(force_insert=True)
        audit(actor, "created", persona, {}, now=now)
    return persona


def save_persona(
    persona: Persona, *, values: Mapping[str, Any], version: int, actor: User | None, now: datetime
) -> Persona:
    """Write what the editor says, if nobody saved since `version`; else EditedMeanwhile.

    A changed rule or status leaves the mark for the engine on every persona that assigns, since the first that matches wins.
    """
    with transaction.atomic():
        own_definitions()
        stored = Persona.objects.select_for_update(no_key=True).get(pk=persona.pk)
        if stored.version != version:
            raise EditedMeanwhile(stored)
        was = _snapshot(stored)
        _write(stored, values, now=now)
        changed = [name for name, value in _snapshot(stored).items() if value != was[name]]
        if not changed:
            return stored
        if "conditions" in changed:
            _refuse_rule(stored)
        stored.version += 1
        stored.save()
        if {"conditions", "status"} & set(changed):
            _assign_again(now=now)
            stored.refresh_from_db()
        audit(actor, "edited", stored, {"changed": changed}, now=now)
    return stored


def differences(mine: Mapping[str, Any], theirs: Persona) -> list[tuple[str, Any]]:
    """Label and stored value of each thing in which the other editor's version differs from mine."""
    stored = _snapshot(theirs)
    return [
        (str(getattr(Persona._meta.get_field(name), "verbose_name", name)), stored[name])
        for name in WORDS_OF_PERSONA
        if name in mine and (mine[name] or None) != (stored[name] or None)
    ]


def review_persona(persona: Persona, *, today: date, actor: User, now: datetime) -> None:
    """Sales and marketing looked at it together today."""
    with transaction.atomic():
        Persona.objects.filter(pk=persona.pk).update(reviewed_on=today, updated_at=now)
        audit(actor, "reviewed", persona, {}, now=now)


def order_personas(slugs: Sequence[str], *, actor: User, now: datetime) -> None:
    """The given order; personas that are not named keep theirs behind them. Everybody is assigned again."""
    with transaction.atomic():
        stored = list(Persona.objects.select_for_update(no_key=True).order_by("position", "name"))
        rank = {slug: index for index, slug in enumerate(slugs)}
        wanted = sorted(stored, key=lambda persona: rank.get(persona.slug, len(rank)))
        moved = [persona for position, persona in enumerate(wanted, 1) if persona.position != position]
        for position, persona in enumerate(wanted, 1):
            persona.position = position
        if not moved:
            return
        Persona.objects.bulk_update(moved, ["position"])
        _assign_again(now=now)
        audit(actor, "ordered", moved[0], {"order": [persona.slug for persona in wanted]}, now=now)


def move_persona(persona: Persona, *, up: bool, actor: User, now: datetime) -> None:
    """One place up or down; at the end it stays."""
    slugs = list(Persona.objects.order_by("position", "name").values_list("slug", flat=True))
    at = slugs.index(persona.slug)
    to = at - 1 if up else at + 1
    if 0 <= to < len(slugs):
        slugs[at], slugs[to] = slugs[to], slugs[at]
        order_personas(slugs, actor=actor, now=now)


def delete_persona(persona: Persona, *, actor: User, now: datetime) -> None:
    """Gone with its assignments; PersonaRefused while a rule names it."""
    with transaction.atomic():
        own_definitions()
        users = graph.used_by(persona.key)
        if users:
            names = ", ".join(str(user) for user in users)
            raise PersonaRefused(
                _("“%(name)s” is used by: %(users)s. Change these first, or retire the persona.")
                % {"name": persona.name, "users": names}
            )
        audit(actor, "deleted", persona, {}, now=now)
        persona.delete()
        _assign_again(now=now)


def _snapshot(persona: Persona) -> dict[str, Any]:
    return {name: getattr(persona, name) for name in WORDS_OF_PERSONA}


def _write(persona: Persona, values: Mapping[str, Any], *, now: datetime) -> None:
    for name in WORDS_OF_PERSONA:
        if name in values:
            setattr(persona, name, values[name])
    persona.updated_at = now
    persona.stale_since = now
    persona.problem = ""


def _assign_again(*, now: datetime) -> None:
    Persona.objects.update(stale_since=now, problem="")


def _refuse_rule(persona: Persona) -> None:
    """What the form took may have gone meanwhile; and no rule reads itself."""
    try:
        tree = None if persona.conditions is None else check(persona.conditions)
    except BadConditions as error:
        raise PersonaRefused(str(error)) from error
    loop = graph.would_loop(persona.key, tree)
    if loop:
        names = {definition.key: definition.label for definition in graph.definitions()} | {persona.key: persona.name}
        words = " → ".join(names.get(key, key) for key in loop)
        raise PersonaRefused(_("This rule would go in a circle: %(loop)s.") % {"loop": words})


def _free_slug(name: str) -> str:
    """A slug of the name that nobody has yet."""
    stem = slugify(name)[:90] or "persona"
    taken = set(Persona.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(
        slug for slug in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if slug not in taken
    )
