"""Segments and personas as the turn sees them: evaluate, compare with what is stored, write the difference, say when time matters next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Literal, TypeVar

from django.db import DatabaseError, transaction
from django.db.models import Q, Value
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from leads.models import Mark
from leads.retry import retrying
from leads.text import fold
from segments import graph, queries
from segments.conditions import BadConditions, Moment, Sql, changed_by_time, matching, moment, next_due
from segments.conditions.fields import Catalogue
from segments.graph import Definition, Node
from segments.models import Persona, Segment
from segments.queries import Changed
from segments.rules import Rule, catalogue_stamp, reads_of, rule_of

# An evaluation over everybody may take this long; the worst nested behaviour over 1 M contacts and 20 M activities takes 2.4 s (LIMITS).
FULL_SECONDS = 120.0
AFTER_A_FAILURE = timedelta(minutes=10)
FULL_FROM = 70_000  # contacts: beyond, looking at everybody is cheaper (LIMITS)
CHUNK = 10_000  # contacts looked at in one statement
# A rule that time changes is looked at in full when due. Where that takes long, it keeps to a hundredth of one core.
PACE = 100.0
UNPACED_SECONDS = 0.05

T = TypeVar("T")


class EditedMeanwhile(Exception):
    """The definition changed under the turn; the next one looks at it afresh."""


class TurnCatalogue(Catalogue):
    """A catalogue for a whole turn: a kind of activity that was not known is looked up again, since it may just have arrived."""

    def __init__(self) -> None:
        super().__init__(reads_open_stays=True)
        self._is_closer = False

    def look_closer(self) -> None:
        """Something was dated ahead since the turn began: what was found out about later facts holds no more."""
        self._is_closer = True

    def has_later(
        self, what: Literal["activities", "moves"], at: datetime, contacts: Sequence[int] | None = None
    ) -> bool:
        return self._is_closer or super().has_later(what, at, contacts)

    def kind_ids(self, kinds: Iterable[str]) -> list[int]:
        wanted = list(kinds)
        found = super().kind_ids(wanted)
        if any(fold(kind) not in (self._kinds or {}) for kind in wanted):
            self._kinds = None
            found = super().kind_ids(wanted)
        return found


class Clock:
    """The moment of one turn, with the workspace's zone and week, and its catalogue; each read once."""

    def __init__(self) -> None:
        self.catalogue = TurnCatalogue()
        self._moments: dict[datetime, Moment] = {}
        self._next_activity: dict[datetime, datetime | None] = {}

    def at(self, now: datetime) -> Moment:
        if now not in self._moments:
            self._moments[now] = moment(now)
        return self._moments[now]

    def next_activity(self, now: datetime) -> datetime | None:
        """When the first activity that lies in the future will exist. One statement a turn."""
        if now not in self._next_activity:
            self._next_activity[now] = queries.next_activity(now)
        return self._next_activity[now]


def compiled(rule: Rule, clock: Clock, now: datetime, contacts: Sequence[int] | None = None) -> Sql:
    """The rule's statement; segments and personas that it names are read as stored, since the turn has worked them before."""
    return matching(rule.tree, clock.at(now), contacts=contacts, stored=True, catalogue=clock.catalogue)


def due_after(tree_due: datetime | None, *, now: datetime, seconds: float) -> datetime | None:
    """When to look again, given the moment at which time may change something and how long a look takes."""
    if tree_due is None:
        return None
    pause = max(seconds - UNPACED_SECONDS, 0.0) * PACE
    return max(tree_due, now + timedelta(seconds=pause))


def time_matters_at(rules: Iterable[Rule], clock: Clock, now: datetime) -> datetime | None:
    """The earliest moment at which time alone may change a verdict of one of the rules: by a window, or by an activity dated ahead."""
    dues: list[datetime | None] = []
    for rule in rules:
        dues.append(next_due(rule.tree, clock.at(now)))
        if Mark.Facet.ACTIVITY in rule.facets:
            dues.append(clock.next_activity(now))
    return min((due for due in dues if due is not None), default=None)


def time_changed(rules: Iterable[Rule], clock: Clock, since: datetime, now: datetime) -> list[int] | None:
    """Contacts whom the passing of time since the last look may have changed; None when there are so many that everybody is looked at."""
    parts = [changed_by_time(rule.tree, clock.at(since), clock.at(now), catalogue=clock.catalogue) for rule in rules]
    found = _bounded(lambda: queries.some_contacts([part for part in parts if part is not None], limit=FULL_FROM + 1))
    return None if len(found) > FULL_FROM else found


class SegmentNode:
    """One segment. A fixed one has no rule: its members are those added by hand or by a program."""

    def __init__(
        self,
        segment: Segment,
        rule: Rule | None,
        clock: Clock,
        broken: BadConditions | None = None,
        *,
        has_overrides: bool = True,
    ) -> None:
        self.segment = segment
        self.has_overrides = has_overrides
        self.key = segment.key
        self.rule = rule
        self.reads = rule.reads if rule else frozenset[str]()
        self.facets = _facets(rule.facets, rule.reads) if rule and not segment.problem else frozenset[int]()
        self.mark_facet = int(Mark.Facet.DEFINITION)
        self._clock = clock
        self._broken = broken

    @property
    def timed_rules(self) -> list[Rule]:
        """Rules whose answer time alone may change."""
        return [self.rule] if self.rule is not None else []

    @property
    def awaits_all(self) -> bool:
        return self.segment.stale_since is not None

    def is_stale(self, now: datetime) -> bool:
        """Like SegmentQuerySet.waiting."""
        segment = self.segment
        return (segment.stale_since is not None and not segment.problem) or (
            segment.due_at is not None and segment.due_at <= now
        )

    def make_stale(self, now: datetime) -> None:
        Segment.objects.filter(pk=self.segment.pk).update(stale_since=now)
        self.segment.stale_since = now

    def failed(self, error: Exception, now: datetime) -> None:
        """Store what went wrong and look at everybody again later; meanwhile members stay as they were and changes pass by."""
        Segment.objects.filter(pk=self.segment.pk, version=self.segment.version).update(
            problem=words_of(error), stale_since=now, due_at=now + AFTER_A_FAILURE
        )
        self.facets = frozenset()

    def due_by(self, at: datetime) -> None:
        """Somebody has a fact dated ahead: look again when it will exist."""
        self._clock.catalogue.look_closer()
        if self.segment.due_at is None or self.segment.due_at > at:
            Segment.objects.filter(pk=self.segment.pk).filter(Q(due_at=None) | Q(due_at__gt=at)).update(due_at=at)
            self.segment.due_at = at

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """With contacts=None: everybody, or, when only time has passed since the last look, those whom it may have changed."""
        if contacts is not None:
            return self._refresh_some(contacts, now)
        since = self.segment.refreshed_at
        if self.rule is None or self.is_stale_for_all(now) or since is None or since > now:
            return self._refresh_all(now)
        started = perf_counter()
        ids = time_changed([self.rule], self._clock, since, now)
        if ids is None:
            return self._refresh_all(now)
        changed = 0
        for first in range(0, len(ids), CHUNK):
            changed += retrying(lambda chunk=ids[first : first + CHUNK]: self._refresh_chunk(chunk, now))  # type: ignore[misc]
        self._looked_at(now, perf_counter() - started)
        return changed

    def is_stale_for_all(self, now: datetime) -> bool:
        """Whether more than the time has changed: the rule, or a failure before."""
        segment = self.segment
        return (
            segment.stale_since is not None or bool(segment.problem) or segment.due_at is None or segment.due_at > now
        )

    def _refresh_chunk(self, contacts: Sequence[int], now: datetime) -> int:
        with transaction.atomic():
            queries.bound_statements(FULL_SECONDS)
            difference = queries.read_difference(self.difference(contacts, now))
            if not difference:
                return 0
            written = self._write(queries.rows_of(difference), now=now, mark=True, tell=False)
            return written.joined + written.left

    def _matching(self, now: datetime, contacts: Sequence[int] | None = None) -> Sql:
        if self._broken is not None:
            raise self._broken
        if self.rule is None:
            return queries.NOBODY
        return compiled(self.rule, self._clock, now, contacts)

    def _why(self) -> str:
        return f"rule:{self.segment.version}"

    def _refresh_all(self, now: datetime) -> int:
        """Stage the difference, then write it chunk by chunk, each its own transaction. A killed run leaves the segment stale or due."""
        started = perf_counter()
        matching = self._matching(now)
        pages = _bounded(lambda: queries.stage_members(self.segment.pk, matching, has_overrides=self.has_overrides))
        changed = 0
        for rows in queries.staged_pages(pages):
            written = retrying(lambda rows=rows: self._write(rows, now=now, mark=True, tell=False))  # type: ignore[misc]
            changed += written.joined + written.left
        if changed > 10_000:
            queries.analyze_members()
        self._looked_at(now, perf_counter() - started)
        return changed

    def _looked_at(self, now: datetime, seconds: float) -> None:
        tree_due = time_matters_at([self.rule] if self.rule else [], self._clock, now)
        mine = Segment.objects.filter(pk=self.segment.pk, version=self.segment.version)
        due_at = due_after(tree_due, now=now, seconds=seconds)
        mine.update(refreshed_at=now, due_at=due_at, problem="")
        if self.segment.stale_since is not None:
            mine.filter(stale_since=self.segment.stale_since).update(stale_since=None)
        segment = self.segment
        segment.stale_since, segment.due_at, segment.problem, segment.refreshed_at = None, due_at, "", now

    def _write(self, rows: Sql, *, now: datetime, mark: bool, tell: bool) -> Changed:
        with transaction.atomic():
            if queries.lock_segment(self.segment.pk) != self.segment.version:
                raise EditedMeanwhile
            return queries.write_members(
                self.segment.pk, rows, why=self._why(), now=now, mark=mark, tell=tell, facet=self.mark_facet
            )

    def _refresh_some(self, contacts: Sequence[int], now: datetime) -> list[int]:
        return self.write_difference(queries.read_difference(self.difference(contacts, now)), now)

    def part(self, contacts: Sequence[int], now: datetime) -> tuple[int, Sql]:
        """The segment with the ids among the contacts that its rule matches; the turn reads several at once."""
        return self.segment.pk, self._matching(now, contacts)

    def difference(self, contacts: Sequence[int], now: datetime) -> Sql:
        """Rows (contact_id, matches) of those among the contacts whose membership must change."""
        return queries.difference_among(
            self.segment.pk, self._matching(now, contacts), contacts, has_overrides=self.has_overrides
        )

    def write_difference(self, difference: Sequence[tuple[int, bool]], now: datetime) -> list[int]:
        """Contacts that joined or left. Nothing when nothing changes, else two statements: lock the row, write."""
        if not difference:
            return []
        if queries.lock_segment(self.segment.pk) != self.segment.version:
            self.make_stale(now)  # edited or archived meanwhile: these contacts must not be forgotten
            return []
        changed = queries.write_members(
            self.segment.pk, queries.rows_of(difference), why=self._why(), now=now, mark=False, tell=True
        )
        return list(changed.contacts)


class PersonasNode:
    """All personas together: everybody gets the first one, by position, whose rule matches."""

    key = graph.PERSONAS

    def __init__(self, personas: Sequence[Persona], stamp: object, clock: Clock) -> None:
        self.personas = list(personas)
        self.mark_facet = int(Mark.Facet.DEFINITION)
        self._clock = clock
        self._rules: list[tuple[Persona, Rule]] = []
        self._broken: tuple[Persona, BadConditions] | None = None
        for persona in self.personas:
            if persona.status in (Persona.Status.ON_TEST, Persona.Status.AGREED) and persona.conditions is not None:
                try:
                    self._rules.append((persona, rule_of(persona.conditions, stamp)))
                except BadConditions as error:
                    self._broken = self._broken or (persona, error)
        self._rules.sort(key=lambda pair: (pair[0].position, pair[0].pk))
        self.reads = frozenset[str]().union(*(rule.reads for _, rule in self._rules))
        self.facets = frozenset[int]()
        if not any(persona.problem for persona in self.personas):
            self.facets = _facets(frozenset[int]().union(*(rule.facets for _, rule in self._rules)), self.reads)

    @property
    def timed_rules(self) -> list[Rule]:
        """Rules whose answer time alone may change."""
        return [rule for _, rule in self._rules]

    @property
    def awaits_all(self) -> bool:
        return any(persona.stale_since is not None for persona in self.personas)

    def is_stale(self, now: datetime) -> bool:
        """Like PersonaQuerySet.waiting."""
        return any(
            (persona.stale_since is not None and not persona.problem)
            or (persona.due_at is not None and persona.due_at <= now)
            for persona in self.personas
        )

    def make_stale(self, now: datetime) -> None:
        Persona.objects.update(stale_since=now)
        for persona in self.personas:
            persona.stale_since = now

    def failed(self, error: Exception, now: datetime) -> None:
        """The persona whose rule cannot be evaluated carries the problem; nobody changes persona until it can."""
        culprit = self._culprit(now)
        blamed = Persona.objects.filter(pk__in=[culprit.pk] if culprit else [persona.pk for persona in self.personas])
        Persona.objects.update(stale_since=None, due_at=now + AFTER_A_FAILURE)
        blamed.update(stale_since=now, problem=words_of(error))
        self.facets = frozenset()

    def _culprit(self, now: datetime) -> Persona | None:
        if self._broken is not None:
            return self._broken[0]
        for persona, rule in self._rules:
            try:
                _bounded(lambda rule=rule: queries.count_rows(compiled(rule, self._clock, now)))  # type: ignore[misc]
            except DatabaseError:
                return persona
        return None

    def due_by(self, at: datetime) -> None:
        """Somebody has a fact dated ahead: look again when it will exist."""
        self._clock.catalogue.look_closer()
        if any(persona.due_at is None or persona.due_at > at for persona in self.personas):
            Persona.objects.filter(Q(due_at=None) | Q(due_at__gt=at)).update(due_at=at)
            for persona in self.personas:
                persona.due_at = min(persona.due_at or at, at)

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """With contacts=None: everybody, or, when only time has passed since the last look, those whom it may have changed."""
        if self._broken is not None:
            raise self._broken[1]
        if contacts is not None:
            return self._refresh_some(contacts, now)
        since = min((persona.refreshed_at for persona in self.personas if persona.refreshed_at), default=None)
        if self._is_stale_for_all(now) or since is None or since > now:
            return self._refresh_all(now)
        started = perf_counter()
        ids = time_changed([rule for _, rule in self._rules], self._clock, since, now)
        if ids is None:
            return self._refresh_all(now)
        changed = 0
        for first in range(0, len(ids), CHUNK):
            changed += retrying(lambda chunk=ids[first : first + CHUNK]: self._refresh_chunk(chunk, now))  # type: ignore[misc]
        self._looked_at(now, perf_counter() - started)
        return changed

    def _is_stale_for_all(self, now: datetime) -> bool:
        return any(
            persona.stale_since is not None or persona.problem or persona.refreshed_at is None
            for persona in self.personas
        ) or all(persona.due_at is None or persona.due_at > now for persona in self.personas)

    def _compiled(self, now: datetime, contacts: Sequence[int] | None = None) -> list[tuple[int, Sql]]:
        return [(persona.pk, compiled(rule, self._clock, now, contacts)) for persona, rule in self._rules]

    def _refresh_all(self, now: datetime) -> int:
        started = perf_counter()
        pages = _bounded(lambda: queries.stage_personas(self._compiled(now)))
        changed = 0
        for rows in queries.staged_pages(pages):
            written = retrying(lambda rows=rows: self._write(rows, now=now))  # type: ignore[misc]
            changed += max(written.joined, written.left)
        self._looked_at(now, perf_counter() - started)
        return changed

    def _refresh_chunk(self, contacts: Sequence[int], now: datetime) -> int:
        with transaction.atomic():
            queries.bound_statements(FULL_SECONDS)
            difference = queries.persona_difference(self._compiled(now, contacts), contacts)
            if not difference:
                return 0
            written = self._write(queries.persona_rows(difference), now=now)
            return max(written.joined, written.left)

    def _looked_at(self, now: datetime, seconds: float) -> None:
        """What was edited after this node was built carries a later mark, or another version, and stays stale."""
        tree_due = time_matters_at([rule for _, rule in self._rules], self._clock, now)
        due_at = due_after(tree_due, now=now, seconds=seconds)
        Persona.objects.filter(pk__in=[persona.pk for persona in self.personas]).update(
            refreshed_at=now, due_at=due_at, problem=""
        )
        for persona in self.personas:
            if persona.stale_since is not None:
                mine = Persona.objects.filter(pk=persona.pk, version=persona.version, stale_since=persona.stale_since)
                mine.update(stale_since=None)
            persona.stale_since, persona.due_at, persona.problem, persona.refreshed_at = None, due_at, "", now

    def _versions(self) -> dict[int, int]:
        return {persona.pk: persona.version for persona in self.personas}

    def _write(self, rows: Sql, *, now: datetime) -> Changed:
        with transaction.atomic():
            if queries.lock_personas() != self._versions():
                raise EditedMeanwhile
            return queries.write_personas(rows, now=now, mark=True, tell=False, facet=self.mark_facet)

    def _refresh_some(self, contacts: Sequence[int], now: datetime) -> list[int]:
        difference = queries.persona_difference(self._compiled(now, contacts), contacts)
        if not difference:
            return []
        if queries.lock_personas() != self._versions():
            self.make_stale(now)  # edited meanwhile: these contacts must not be forgotten
            return []
        return list(queries.write_personas(queries.persona_rows(difference), now=now, mark=False, tell=True).contacts)


def segment_nodes() -> list[Node]:
    """A node per segment in use, and one for all personas. Two statements and those of the stamp."""
    stamp = catalogue_stamp()
    clock = Clock()
    found: list[Node] = []
    for segment, has_overrides in queries.segments_in_use():
        rule, broken = None, None
        if segment.mode == Segment.Mode.DYNAMIC and segment.conditions is not None:
            try:
                rule = rule_of(segment.conditions, stamp)
            except BadConditions as error:
                broken = error
        found.append(SegmentNode(segment, rule, clock, broken, has_overrides=has_overrides))
    personas = queries.personas()
    if personas:
        found.append(PersonasNode(personas, stamp, clock))
    return found


def segments_wait(now: datetime) -> bool:
    """Whether a segment or persona is stale or due. Two statements over small tables."""
    return Segment.objects.waiting(now).exists() or Persona.objects.waiting(now).exists()


def segment_definitions() -> list[Definition]:
    """Segments in use and personas for loops and “used by”. One statement for both: many pages ask it."""
    columns = ("kind", "slug", "name", "conditions")
    segments = Segment.objects.in_use().annotate(kind=Value("segment")).values_list(*columns)
    personas = Persona.objects.order_by().annotate(kind=Value("persona")).values_list(*columns)
    words = {"segment": _("segment"), "persona": _("persona")}
    return [
        Definition(
            f"{kind}:{slug}", name, words[kind], reverse(f"segments:{kind}-detail", args=[slug]), reads_of(document)
        )
        for kind, slug, name, document in segments.order_by().union(personas, all=True).order_by("kind", "slug")
    ]


def words_of(error: Exception) -> str:
    """What a person reads where an evaluation failed."""
    if isinstance(error, BadConditions):
        return "; ".join(f"{problem.path}: {problem.message}" for problem in error.problems)
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    if sqlstate == "57014":
        return str(_("The rule took too long to evaluate and was stopped."))
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]


def _facets(own: frozenset[int], read: frozenset[str]) -> frozenset[int]:
    return own | {Mark.Facet.DEFINITION.value} if any(graph.is_definition(one) for one in read) else own


def _bounded(work: Callable[[], T]) -> T:
    """In a transaction of its own whose statements are bounded."""

    def bounded() -> T:
        with transaction.atomic():
            queries.bound_statements(FULL_SECONDS)
            return work()

    return retrying(bounded)
