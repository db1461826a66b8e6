"""A version as it is drawn: nodes with words, numbers and problems, laid out as lists inside lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from nurture import actions, around, queries_around, queries_layers, splits, tree
from nurture.kinds import KINDS, START, Kind, Names, Problem, Step
from nurture.models import Enrolment, EntryPlace, EntryQueue, Program, ProgramVersion
from nurture.queries import StepCount
from nurture.triggers import document

TIME, GOAL = "time", "goal"
LAYERS = (TIME, GOAL)


@dataclass
class Way:
    """One way below a branch. `goes_on`: somebody gets to the step below the branch this way."""

    key: str
    label: str
    nodes: list[Node]
    goes_on: bool
    place: str
    passed: int
    has_won: bool = False


@dataclass
class Node:
    step: Step
    kind: Kind
    words: str
    count: StepCount
    problems: list[Problem]
    is_dead: bool
    is_first: bool
    is_last: bool
    place: str
    ways: list[Way] = field(default_factory=list)
    layer: str = ""  # what the chosen layer says here

    @property
    def id(self) -> str:
        return self.step.id

    @property
    def goes_on(self) -> bool:
        return not tree.always_ends((self.step,))

    @property
    def outcomes(self) -> list[tuple[str, str, int]]:
        """(outcome, label, number) of those that are no way and no plain success."""
        return [
            (key, str(label), self.count.outcome(key))
            for key, label in self.kind.outcomes.items()
            if key not in self.kind.ways and self.count.outcome(key)
        ]

    @property
    def blocks(self) -> bool:
        return any(problem.blocks for problem in self.problems)


@dataclass(frozen=True)
class Told:
    """A line of the outline with the numbers of its step."""

    line: tree.Line
    count: StepCount
    layer: str = ""


@dataclass(frozen=True)
class Canvas:
    """Everything the page of one version shows of its steps."""

    version: ProgramVersion
    nodes: list[Node]
    start: StepCount
    problems: list[Problem]
    outline: list[Told]
    who_enters: str
    counts: dict[str, StepCount]
    goes_on: bool
    step_total: int
    facts: list[around.Fact]
    layer: str = ""

    @property
    def start_problems(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.step == START]

    @property
    def blocking(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.blocks]

    @property
    def doubtful(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.blocks]

    def all_nodes(self) -> list[Node]:
        return _flat(self.nodes)


def draw(version: ProgramVersion, names: Names, layer: str = "", *, counts: dict[str, StepCount]) -> Canvas:
    """With these numbers. One to nine statements, whatever the number of steps: one for a layer, the others for the names that steps mention."""
    checked = tree.check(version.tree)
    problems = actions.problems_of(version, names)
    nodes = _nodes(checked.steps, counts, problems, names, is_dead=False)
    _mark_winners(version.program_id, nodes)
    layer = layer if layer in LAYERS and version.state != ProgramVersion.State.DRAFT else ""
    if layer == TIME or (layer == GOAL and version.around.get("goal")):
        _lay(version, nodes, layer)
    layers = {node.id: node.layer for node in _flat(nodes)}
    return Canvas(
        version=version,
        nodes=nodes,
        start=counts.get(START, StepCount()),
        problems=problems,
        outline=[
            Told(line, counts.get(line.step.id, StepCount()), layers[line.step.id])
            if line.step
            else Told(line, StepCount())
            for line in tree.outline(checked, names)
        ],
        who_enters=who_enters(version, names),
        counts=counts,
        goes_on=not tree.always_ends(checked.steps),
        step_total=sum(1 for _step in checked.walk()),
        facts=around.in_words(version.around, checked, names),
        layer=layer,
    )


def _mark_winners(program_id: int, nodes: Sequence[Node]) -> None:
    """Ways of splits that won. One statement, none without a split."""
    every = _flat(nodes)
    won = splits.winners(program_id, [node.step for node in every if node.step.kind == "split"])
    for node in every:
        for way in node.ways:
            way.has_won = won.get(node.id) == way.key


def _lay(version: ProgramVersion, nodes: Sequence[Node], layer: str) -> None:
    """Say at each node what the layer shows. One statement."""
    if layer == TIME:
        stays = queries_layers.stays(version.pk)
        said = {step: _stay_words(stay) for step, stay in stays.items()}
    else:
        said = {step: _goal_words(*counts) for step, counts in queries_layers.goals_after(version.pk).items()}
    for node in _flat(nodes):
        node.layer = said.get(node.id, _("nobody yet"))


def _stay_words(stay: queries_layers.Stay) -> str:
    half, most = span_words(stay.half), span_words(stay.most)
    if half == most:
        return half
    return _("%(half)s for half, %(most)s for nine of ten") % {"half": half, "most": most}


def _goal_words(passed: int, reached: int) -> str:
    words = {"share": number_format(100 * reached / passed, 1), "n": number_format(reached, force_grouping=True)}
    return _("%(share)s %% reach the goal afterwards (%(n)s)") % words


def span_words(seconds: float) -> str:
    """A length of time in one unit, as people say it."""
    if seconds < 60:
        return _("at once")
    for size, one, many in (
        (86_400, "%(n)s day", "%(n)s days"),
        (3_600, "%(n)s hour", "%(n)s hours"),
        (60, "%(n)s minute", "%(n)s minutes"),
    ):
        if seconds >= size:
            number = round(seconds / size, 1)
            return ngettext(one, many, number if number == 1 else 2) % {"n": number_format(number).removesuffix(".0")}
    raise AssertionError("a minute at least")


def who_enters(version: ProgramVersion, names: Names) -> str:
    """The triggers in words."""
    ways = document.in_words(version.triggers, names)
    if not ways:
        return _("Nobody yet: say what lets people in")
    words = _("Whoever %(ways)s") % {"ways": _(", or ").join(ways)}
    if version.state == ProgramVersion.State.DRAFT or version.intake == ProgramVersion.Intake.NEW:
        return words
    if version.intake == ProgramVersion.Intake.ALL:
        return _("%(whoever)s; everybody of whom that was true at the start, too") % {"whoever": words}
    return _("%(whoever)s; those since a date before the start, too") % {"whoever": words}


def _nodes(
    steps: Sequence[Step],
    counts: dict[str, StepCount],
    problems: Sequence[Problem],
    names: Names,
    *,
    is_dead: bool,
) -> list[Node]:
    nodes = []
    for place, step in enumerate(steps):
        dead = is_dead or tree.always_ends(tuple(steps[:place]))
        kind = KINDS[step.kind]
        count = counts.get(step.id, StepCount())
        ways = [
            Way(
                key=way,
                label=str(kind.ways_for(step.values)[way]),
                nodes=_nodes(children, counts, problems, names, is_dead=dead),
                goes_on=not tree.always_ends(children),
                place=str(tree.Place(step.id, way)),
                passed=count.outcome(way),
            )
            for way, children in step.ways.items()
        ]
        nodes.append(
            Node(
                step=step,
                kind=kind,
                words=kind.words(step.values, names),
                count=count,
                problems=[problem for problem in problems if problem.step == step.id],
                is_dead=dead,
                is_first=place == 0,
                is_last=place == len(steps) - 1,
                place=step.id,
                ways=ways,
            )
        )
    return nodes


def _flat(nodes: Sequence[Node]) -> list[Node]:
    found = []
    for node in nodes:
        found.append(node)
        for way in node.ways:
            found += _flat(way.nodes)
    return found


@dataclass(frozen=True)
class Strip:
    """The line above the canvas: who is where, in numbers that open lists."""

    program: Program
    inside: int
    parked: int
    finished: int
    left: int
    held_out: int
    goals: int | None
    elsewhere: list[tuple[ProgramVersion, int]]
    queue: EntryQueue | None
    queued: int


def strip(program: Program, version: ProgramVersion, by_version: dict[int, dict[str, int]]) -> Strip:
    """Numbers of the whole program (version -> state -> people), and people inside other versions than the one shown. A statement each
    with people inside other versions, a goal and a queue (the program comes with it)."""
    inside = {pk: states.get("active", 0) + states.get("parked", 0) for pk, states in by_version.items()}
    others = [pk for pk, number in inside.items() if number and pk != version.pk]
    elsewhere = program.versions.filter(pk__in=others).order_by("number") if others else ()
    counts = {state: sum(one.get(state, 0) for one in by_version.values()) for state in Enrolment.State.values}
    queue = getattr(program, "entry_queue", None)
    if queue is not None and queue.set_aside_by_id is not None:
        queue = None
    return Strip(
        program,
        counts["active"],
        counts["parked"],
        counts["finished"],
        counts["left"],
        counts["held_out"],
        queries_around.goal_count(program.pk) if version.around.get("goal") else None,
        [(other, inside[other.pk]) for other in elsewhere],
        queue,
        EntryPlace.objects.filter(program=program).count() if queue else 0,
    )
