"""What a kind of step is: its words, its form, what it demands, and what it does to a group of people at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q, Subquery
from django.utils.translation import gettext as _

from leads.models import CustomField, Owner, Stage, Workspace
from leads.workspace import workspace
from nurture.models import MailBudget, Program, Template
from nurture.templating import proofreading
from nurture.templating.stationery import Cupboard
from scoring.models import ScoreModel
from segments import graph
from segments.models import Segment

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Words

    from nurture.queries_around import Waiting
else:
    Words = str

START = "start"  # the id of the trigger, which everybody passes first

# Fields of a contact that a step may set: plain text, owned by marketing (never keys, consent or the stage).
SETTABLE = (
    "title",
    "department",
    "seniority",
    "phone",
    "country",
    "region",
    "city",
    "postal_code",
    "timezone",
    "language",
    "source",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a step: where, in words, and whether the program may start with it."""

    path: str
    message: str
    step: str = ""
    blocks: bool = True
    about: str = field(default="", compare=False)  # what the step is called


@dataclass(frozen=True, slots=True)
class Step:
    """One checked step. `values` is what its form fills; `ways` are the lists of steps below a branch."""

    id: str
    kind: str
    values: Mapping[str, Any]
    ways: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Walker:
    """One person due at a step; `visit` counts the steps done before, plus one."""

    enrolment_id: int
    contact_id: int
    visit: int


class Names:
    """What steps refer to by slug, read when first asked: one statement for each sort of thing, whatever the number of steps."""

    @cached_property
    def templates(self) -> dict[str, Template]:
        """Without their words."""
        home = Workspace.objects.filter(pk=1).values("postal_address")[:1]
        rows = Template.objects.filter(archived_at=None).annotate(home_address=Subquery(home))
        return {row.slug: row for row in rows.defer("body", "text", "translations")}

    @cached_property
    def _unread_templates(self) -> dict[str, Template]:
        """Those that nobody has read since these rules hold, with their words."""
        unread = Q(findings=None) | ~Q(findings__edition=proofreading.EDITION)
        return {row.slug: row for row in Template.objects.filter(unread, archived_at=None)}

    @cached_property
    def _cupboard(self) -> Cupboard:
        return Cupboard()

    def findings(self, slug: str) -> list[proofreading.Finding]:
        """What is wrong or doubtful about a template's words."""
        template = self.templates[slug]
        if not proofreading.is_kept(template):
            template = self._unread_templates.get(slug, template)
        return proofreading.kept(template, self._cupboard)

    @property
    def lacks_postal_address(self) -> bool:
        """Whether mails would leave without an address of the company; unknown where there is no template."""
        return any(not (row.home_address or "").strip() for row in self.templates.values())  # type: ignore[attr-defined]

    @cached_property
    def segments(self) -> dict[str, Segment]:
        return {row.slug: row for row in Segment.objects.filter(archived_at=None)}

    @cached_property
    def score_models(self) -> dict[str, ScoreModel]:
        return {row.slug: row for row in ScoreModel.objects.filter(archived_at=None)}

    @cached_property
    def stages(self) -> dict[str, str]:
        return {row.slug: row.label for row in Stage.objects.all()}

    @cached_property
    def custom_fields(self) -> dict[str, CustomField]:
        return {row.key: row for row in CustomField.objects.filter(of=CustomField.Of.CONTACT)}

    @cached_property
    def programs_read(self) -> frozenset[str]:
        """Keys such as “program:welcome” that some rule asks for."""
        reads = (read for definition in graph.definitions() for read in definition.reads)
        return frozenset(read for read in reads if read.startswith("program:"))

    @cached_property
    def home(self) -> Workspace:
        """With the budget over all programs as `budget_mails` and `budget_days`, None where there is none."""
        budget = MailBudget.objects.filter(pk=1)
        limits = {"budget_mails": Subquery(budget.values("mails")), "budget_days": Subquery(budget.values("days"))}
        rows = Workspace.objects.filter(pk=1).annotate(**limits)
        if (found := rows.first()) is None:  # a fresh instance
            workspace()
            found = rows.get()
        return found

    @cached_property
    def owners(self) -> dict[str, Owner]:
        return {row.name: row for row in Owner.objects.order_by("name")}

    @cached_property
    def users(self) -> dict[str, User]:
        """User name -> user, of those who may sign in."""
        return {row.username: row for row in User.objects.filter(is_active=True).order_by("username")}

    @cached_property
    def teams(self) -> dict[str, list[int]]:
        """Team -> ids of its users who may sign in."""
        found: dict[str, list[int]] = {}
        rows = Owner.objects.exclude(team="").filter(user__is_active=True).order_by("team", "user_id")
        for team, user_id in rows.values_list("team", "user_id"):
            found.setdefault(team, []).append(user_id)
        return found

    @cached_property
    def programs(self) -> dict[str, Program]:
        return {row.slug: row for row in Program.objects.filter(archived_at=None)}

    def program(self, slug: str) -> str:
        return self.programs[slug].name if slug in self.programs else slug

    def template(self, slug: str) -> str:
        return self.templates[slug].name if slug in self.templates else slug

    def segment(self, slug: str) -> str:
        return self.segments[slug].name if slug in self.segments else slug

    def stage(self, slug: str) -> str:
        return self.stages.get(slug, slug)

    def field_label(self, key: str) -> str:
        """From “title” or “custom.plan”."""
        from leads.models import Contact

        if key.startswith("custom."):
            custom = self.custom_fields.get(key.removeprefix("custom."))
            return custom.label if custom else key
        return str(Contact._meta.get_field(key).verbose_name) if key in SETTABLE else key  # type: ignore[union-attr]


@dataclass(frozen=True)
class Group:
    """People due at one step of one version, worked together by a few statements."""

    program: Program
    version_id: int
    step: Step
    walkers: Sequence[Walker]
    now: datetime
    names: Names
    around: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contact_ids(self) -> list[int]:
        return [walker.contact_id for walker in self.walkers]

    @property
    def cause(self) -> str:
        return f"program:{self.program.slug}"

    def split(self, chosen: set[int], *, inside: str, outside: str) -> dict[str, list[Walker]]:
        """Outcomes from the contacts that are in `chosen` and those that are not."""
        outcomes: dict[str, list[Walker]] = {inside: [], outside: []}
        for walker in self.walkers:
            outcomes[inside if walker.contact_id in chosen else outside].append(walker)
        return outcomes

    def done(self) -> dict[str, list[Walker]]:
        return {"done": list(self.walkers)}


class StepForm(forms.Form):
    """The side panel's form of a kind. `values()` gives what the tree stores, `initial_of` is its way back."""

    def __init__(self, *args: Any, names: Names, **kwargs: Any) -> None:
        self.names = names
        super().__init__(*args, **kwargs)

    @classmethod
    def initial_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)

    def values(self) -> dict[str, Any]:
        return {key: value for key, value in self.cleaned_data.items() if value not in (None, "")}


def nothing_wrong(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    yield from ()


def nothing_malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ()


def at_once(values: Mapping[str, Any], contact_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    return {}


def differs(values: Mapping[str, Any], now: datetime) -> datetime | None:
    """For kinds whose moment is another one for each person."""
    return None


Wake = Callable[[Mapping[str, Any], "Sequence[Waiting]", datetime], dict[int, datetime]]


def now_for_all(values: Mapping[str, Any], now: datetime) -> datetime | None:
    return now


@dataclass(frozen=True)
class Kind:
    """One row of the table of steps.

    `malformed` yields (key, message) for values of the wrong shape, whatever the database holds;
    `problems` yields (message, blocks) for what is missing or refers to nothing;
    `run` does the step for a group and says who came out how;
    `due_at` gives the moments at which people who arrive are due, for those who must wait;
    `due_for_all` gives that moment where it is the same for everybody, else None;
    `passes`: at the step itself nothing is done and nothing decided;
    `ways_of` gives the ways of one step where steps of the kind have different ones; `ways` are all that there may be;
    `wake`, of a kind that waits for something about the contact, gives the moments at which people who wait there are due now that
    their contact changed (see nurture/wakes.py).
    """

    key: str
    label: Words
    help: Words
    icon: str
    colour: str
    form: type[StepForm]
    words: Callable[[Mapping[str, Any], Names], str]
    run: Callable[[Group], dict[str, list[Walker]]]
    keys: frozenset[str]
    malformed: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] = nothing_malformed
    problems: Callable[[Mapping[str, Any], Names], Iterator[tuple[str, bool]]] = nothing_wrong
    due_at: Callable[[Mapping[str, Any], Sequence[int], datetime], dict[int, datetime]] = at_once
    ways: Mapping[str, Words] = field(default_factory=dict)
    outcomes: Mapping[str, Words] = field(default_factory=dict)
    ends: bool = False
    due_for_all: Callable[[Mapping[str, Any], datetime], datetime | None] = now_for_all
    passes: bool = False
    wake: Wake | None = None
    ways_of: Callable[[Mapping[str, Any]], Mapping[str, Words]] | None = None

    def ways_for(self, values: Mapping[str, Any]) -> Mapping[str, Words]:
        """Key -> label of the ways that a step with these values has."""
        return self.ways_of(values) if self.ways_of else self.ways

    @property
    def makes_wait(self) -> bool:
        return self.due_at is not at_once


def within(sentence: str) -> str:
    """A sentence in the middle of another one: it begins small, unless with an abbreviation such as CFO."""
    is_word = len(sentence) > 1 and not sentence[1].isupper()
    return sentence[0].lower() + sentence[1:] if is_word else sentence


def is_text(values: Mapping[str, Any], key: str, longest: int = 300) -> Iterator[tuple[str, str]]:
    """A problem unless the value is absent or a text that fits."""
    value = values.get(key)
    if value is not None and not (isinstance(value, str) and len(value) <= longest):
        yield key, _("expected a text of at most %(longest)d characters") % {"longest": longest}
