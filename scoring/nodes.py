"""Score models as the turn sees them: compile the live rules, write the difference, say when time matters next; and recycled leads whose day has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from django.db.models import Q

from leads.actions import Refused
from leads.models import Mark
from leads.queries import mark
from leads.retry import retrying
from scoring import bant, eras, queries
from scoring.models import POINTS_GIVEN, HandOff, Rule, ScoreDue, ScoreModel, ScoreVersion
from scoring.occurrences import leaf_of
from scoring.queries import CompiledRule, Lines, Plan
from segments import graph
from segments.conditions import BadConditions, Moment, Sql, matching, near_activities, predicate
from segments.conditions.fields import Catalogue
from segments.graph import Node
from segments.nodes import (
    AFTER_A_FAILURE,
    CHUNK,
    FULL_FROM,
    Clock,
    EditedMeanwhile,
    due_after,
    time_changed,
    time_matters_at,
    words_of,
)
from segments.rules import Rule as ReadableRule
from segments.rules import catalogue_stamp, rule_of

# Worked out from other tables: a rule on them is a set of its own, not a test in the pass over the contacts.
NOT_A_COLUMN = frozenset({"contact.last_activity_at", "contact.persona", "contact.stage"})
RETURNS_IN_ONE_LOOK = 5_000


def is_plain(reads: frozenset[str]) -> bool:
    """Whether a rule reads nothing but columns of the contact and its company."""
    return all(read.startswith(("contact.", "company.")) and read not in NOT_A_COLUMN for read in reads)


def said(rule: Rule) -> object:
    """What a rule asks, beside its points."""
    return rule.conditions, rule.per_occurrence


def compile_rules(
    rules: Sequence[tuple[Rule, ReadableRule]],
    moment: Moment,
    contacts: Sequence[int] | None,
    before: dict[object, object] | None = None,
) -> tuple[tuple[CompiledRule, ...], Sql | None]:
    """Rules ready for one statement, and what they read of a batch's activities (`Plan.near`).

    Segments and personas are read as the turn stored them just before. `before`: rule key -> what it asked in the version before; a
    rule that says something else is “edited”.
    """
    catalogue = Catalogue()
    sets = [readable.tree for _rule, readable in rules if not is_plain(readable.reads)]
    near = None if contacts is None else near_activities(sets, moment, contacts, catalogue=catalogue)

    def compiled(rule: Rule, readable: ReadableRule) -> CompiledRule:
        tree = readable.tree
        return CompiledRule(
            key=rule.key,
            group=rule.group,
            points=rule.points,
            predicate=predicate(tree, moment, stored=True, catalogue=catalogue, has_company=True),
            matching=matching(tree, moment, contacts=contacts, stored=True, catalogue=catalogue, near=near is not None),
            is_plain=is_plain(readable.reads),
            is_edited=before is not None and before.get(rule.key) != said(rule),
        )

    return tuple(compiled(rule, readable) for rule, readable in rules), near


def lines_of(version: ScoreVersion) -> Lines:
    return Lines(tuple(version.fit_lines), tuple(version.behaviour_lines))


class ScoreNode:
    """One model under its live version."""

    def __init__(
        self,
        model: ScoreModel,
        version: ScoreVersion,
        rules: Sequence[tuple[Rule, ReadableRule]],
        clock: Clock,
        broken: Exception | None = None,
        history: Sequence[eras.Past] = (),
        past_facets: frozenset[int] = frozenset(),
    ) -> None:
        self.model = model
        self.version = version
        self.key = f"score:{model.slug}"
        self.rules = list(rules)
        self.once = [(rule, readable) for rule, readable in self.rules if not rule.per_occurrence]
        self.history = list(history)
        self.reads = frozenset[str]().union(*(readable.reads for _, readable in self.rules))
        # A new contact leaves a mark of this facet: it gets a row although no rule may look at it.
        own = frozenset({int(Mark.Facet.CONTACT)}).union(*(readable.facets for _, readable in self.rules))
        if any(graph.is_definition(read) for read in self.reads):
            own |= {int(Mark.Facet.DEFINITION)}
        own |= {POINTS_GIVEN} | past_facets
        self.facets = own if broken is None and not model.problem else frozenset[int]()
        self._clock = clock
        self._broken = broken

    @property
    def timed_rules(self) -> list[ReadableRule]:
        """Rules whose answer time alone may change."""
        return [readable for _, readable in self.once]

    @property
    def awaits_all(self) -> bool:
        return self.model.stale_since is not None

    def is_stale(self, now: datetime) -> bool:
        """Like models_wait."""
        model = self.model
        return (model.stale_since is not None and not model.problem) or self._is_due(now) or self._has_due_contacts(now)

    def _is_due(self, now: datetime) -> bool:
        """Whether time may have changed who meets a rule that counts once."""
        return self.model.due_at is not None and self.model.due_at <= now

    def _has_due_contacts(self, now: datetime) -> bool:
        """Whether known moments of single contacts have come: decay, expiry, an activity dated ahead."""
        return not self.model.problem and ScoreDue.objects.ready(now).filter(model=self.model).exists()

    def make_stale(self, now: datetime) -> None:
        ScoreModel.objects.filter(pk=self.model.pk).update(stale_since=now)
        self.model.stale_since = now

    def failed(self, error: Exception, now: datetime) -> None:
        """Store what went wrong and try again later; scores stay as they were, and nobody is handed over meanwhile."""
        ScoreModel.objects.filter(pk=self.model.pk).update(
            problem=words_of(error), stale_since=now, due_at=now + AFTER_A_FAILURE
        )
        self.facets = frozenset()

    def due_by(self, at: datetime) -> None:
        """Somebody has an activity dated ahead: look again when it will exist."""
        if self.model.due_at is None or self.model.due_at > at:
            ScoreModel.objects.filter(pk=self.model.pk).filter(Q(due_at=None) | Q(due_at__gt=at)).update(due_at=at)
            self.model.due_at = at

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """With contacts=None: everybody, or, when only time has passed since the last look, those whom it may have changed."""
        if self._broken is not None:
            raise self._broken
        if contacts is not None:
            return self._refresh_some(contacts, now)
        since = self.model.refreshed_at
        if self._is_stale_for_all(now) or since is None or since > now:
            return self._refresh_all(now)
        started = perf_counter()
        ids = queries.due_contacts(self.model.pk, now, FULL_FROM + 1)
        if self._is_due(now):
            moved = time_changed([readable for _, readable in self.once], self._clock, since, now)
            ids = sorted({*ids, *moved}) if moved is not None else [0] * (FULL_FROM + 1)
        if len(ids) > FULL_FROM:
            return self._refresh_all(now)
        changed = 0
        for first in range(0, len(ids), CHUNK):
            changed += retrying(lambda chunk=ids[first : first + CHUNK]: self._refresh_chunk(chunk, now))  # type: ignore[misc]
        if self._is_due(now):
            self._looked_at(now, perf_counter() - started)
        return changed

    def _is_stale_for_all(self, now: datetime) -> bool:
        """Whether more than the time has changed: a publication, a failure before, or somebody asked for everybody."""
        model = self.model
        return (
            self.version.worked_at is None
            or model.stale_since is not None
            or bool(model.problem)
            or not (self._is_due(now) or self._has_due_contacts(now))
        )

    def plan(self, now: datetime, contacts: Sequence[int] | None) -> Plan:
        """Under a version that was not worked yet, its edited rules are told apart from those that somebody newly meets. Two statements."""
        keys = {rule.key for rule, _ in self.once}
        past_keys = (*queries.ledger_keys(self.model.pk), *bant.rule_keys(self.model.slug))
        moment = self._clock.at(now)
        timed = None
        has_given = queries.points_given_exist(self.model.pk)
        if has_given or eras.is_timed(self.history):
            catalogue = self._clock.catalogue
            timed = eras.timed_of(
                self.history,
                moment,
                stamp=catalogue_stamp(),
                catalogue=catalogue,
                has_given=has_given,
                for_all=contacts is None,
            )
        rules, near = compile_rules(self.once, moment, contacts, self._documents_before())
        return Plan(
            model_id=self.model.pk,
            version_id=self.version.pk,
            rules=rules,
            near=near,
            past_keys=tuple((key, group) for key, group in past_keys if key not in keys),
            lines=lines_of(self.version),
            timed=timed,
        )

    def _documents_before(self) -> dict[object, object] | None:
        """The rules of the version before, while the publication has not been worked; None afterwards."""
        if self.version.worked_at is not None:
            return None
        past = ScoreVersion.objects.filter(model=self.model, state=ScoreVersion.State.PAST).select_related("model")
        before = past.order_by("-published_at").first()
        return {rule.key: said(rule) for rule in bant.all_rules(before)} if before else {}

    def _mark_over(self) -> int:
        """Whose change must be told in a run without a batch: everybody's where another definition reads the score, else the ripe ones'."""
        is_read = any(graph.corner(read) == self.key for definition in graph.definitions() for read in definition.reads)
        return queries.EVERYBODY if is_read else int(self.version.threshold * 100)

    def _refresh_all(self, now: datetime) -> int:
        """Everybody, in chunks. A killed run leaves the model stale or due, and the next one writes what is left."""
        started = perf_counter()
        written = queries.refresh_all(
            self.plan(now, None),
            now=now,
            mark_over=self._mark_over(),
            is_current=self._is_current,
            recount=self.version.worked_at is None,
        )
        if written is None:
            raise EditedMeanwhile
        if self.model.stale_since is not None:
            queries.mark_ripe(self.model.pk, self.version.threshold)
        self._looked_at(now, perf_counter() - started)
        return written.contacts

    def _refresh_chunk(self, contacts: Sequence[int], now: datetime) -> int:
        written = queries.refresh_some(
            self.plan(now, contacts), contacts, now=now, is_current=self._is_current, mark_over=self._mark_over()
        )
        if written is None:
            raise EditedMeanwhile
        return written.contacts

    def _looked_at(self, now: datetime, seconds: float) -> None:
        tree_due = time_matters_at([readable for _, readable in self.once], self._clock, now)
        due_at = due_after(tree_due, now=now, seconds=seconds)
        mine = ScoreModel.objects.filter(pk=self.model.pk)
        mine.update(refreshed_at=now, due_at=due_at, problem="")
        if self.model.stale_since is not None:
            mine.filter(stale_since=self.model.stale_since).update(stale_since=None)
        if self.version.worked_at is None:
            ScoreVersion.objects.filter(pk=self.version.pk).update(worked_at=now)
            self.version.worked_at = now
        self.model.stale_since, self.model.due_at, self.model.problem = None, due_at, ""
        self.model.refreshed_at = now

    def _refresh_some(self, contacts: Sequence[int], now: datetime) -> list[int]:
        """Four or five statements, whatever the number of rules."""
        written = queries.refresh_some(self.plan(now, contacts), contacts, now=now, is_current=self._is_current)
        if written is None:
            return []  # published meanwhile: the model is stale and will be looked at in full
        return list(written.ids)

    def _is_current(self) -> bool:
        return ScoreVersion.objects.filter(
            pk=self.version.pk, state=ScoreVersion.State.LIVE, model__archived_at=None
        ).exists()


class ReturnsNode:
    """Recycled leads whose day has come: they are marked, and handed over again if they still stand over the line."""

    key = "queue:returns"
    reads = frozenset[str]()
    facets = frozenset[int]()

    def is_stale(self, now: datetime) -> bool:
        return HandOff.objects.returning(now).exists()

    def make_stale(self, now: datetime) -> None:
        """What is due stands in the rows."""

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """Three statements over at most RETURNS_IN_ONE_LOOK rows; the next turn takes what is left."""
        if contacts is not None:
            return []
        due = list(
            HandOff.objects.returning(now)
            .order_by("returns_at", "id")
            .values_list("id", "contact_id")[:RETURNS_IN_ONE_LOOK]
        )
        mark((contact for _, contact in due), Mark.Facet.DEFINITION)
        HandOff.objects.filter(pk__in=[pk for pk, _ in due]).update(returned_at=now)
        return len(due)


def score_nodes() -> list[Node]:
    """A node per published model, and one for recycled leads. Six statements."""
    stamp = catalogue_stamp()
    clock = Clock()
    versions = list(
        ScoreVersion.objects.filter(state=ScoreVersion.State.LIVE, model__archived_at=None)
        .select_related("model")
        .prefetch_related("rules")
        .order_by("model__slug")
    )
    past = eras.histories(version.model_id for version in versions)
    return [*(node_of(version, stamp, clock, past[version.model_id]) for version in versions), ReturnsNode()]


def node_of(
    version: ScoreVersion, stamp: object, clock: Clock, history: Sequence[eras.Past] | None = None
) -> ScoreNode:
    """The node of a live version whose model is loaded. Two statements where the model's history is not given."""
    if history is None:
        history = eras.histories([version.model_id])[version.model_id]
    try:
        rules = [(rule, rule_of(rule.conditions, stamp)) for rule in bant.all_rules(version)]
        for rule, readable in rules:
            if rule.per_occurrence:
                leaf_of(readable.tree)
        past_facets = facets_of_the_past(history, stamp)
    except (BadConditions, Refused) as error:
        return ScoreNode(version.model, version, [], clock, broken=error, history=history)
    return ScoreNode(version.model, version, rules, clock, history=history, past_facets=past_facets)


def facets_of_the_past(history: Sequence[eras.Past], stamp: object) -> frozenset[int]:
    """What any version's rules per occurrence read: an activity that comes late counts under the version that was live at its moment."""
    asked = (rule.conditions for past in history for rule in past.rules.values())
    return frozenset[int]().union(*(rule_of(conditions, stamp).facets for conditions in asked))


def models_wait(now: datetime) -> bool:
    """Whether a model, its queue or somebody's points are due, or a recycled lead comes back. Three statements along small indexes."""
    models = ScoreModel.objects.waiting(now) | ScoreModel.objects.queue_due(now)
    return models.exists() or ScoreDue.objects.ready(now).exists() or HandOff.objects.returning(now).exists()
