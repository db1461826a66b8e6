"""Tables that a simulation works on instead of the live ones: temporary, of the same names, so that every statement runs unchanged.

PostgreSQL looks for a temporary table first, so `nurture_enrolment` means the simulation's own as soon as there is one. The session is
a new one, which ends with the simulation and takes the tables along. Once they are filled it may only read everything else:
whatever step would write a live row, or lock one, fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connections

from nurture.simulation import queries
from nurture.simulation.reading import Reading

ALIAS = "default"

# Few rows each, taken over whole.
DEFINITIONS = (
    "nurture_program",
    "nurture_programversion",
    "nurture_domainpace",
    "nurture_splittrial",
    "nurture_trigger",
    "nurture_entryqueue",
    "segments_segment",
    "segments_persona",
    "scoring_scoremodel",
)
TRIALS = ("nurture_splitpass",)
# Rows of the people who take part, by the column that names them.
PEOPLE = {
    "leads_contact": "id",
    "leads_stagemove": "contact_id",
    "segments_segmentoverride": "contact_id",
    "segments_membership": "contact_id",
    "segments_personaassignment": "contact_id",
    "nurture_enrolment": "contact_id",
    "nurture_triggermatch": "contact_id",
    "nurture_entryplace": "contact_id",
    "nurture_sending": "contact_id",
}
# Taken over only where something reads them, since they are many.
BEHAVIOUR = {"leads_activity": "contact_id", "leads_signal": "contact_id"}
SCORES = {
    "scoring_score": "contact_id",
    "scoring_ledgerrow": "contact_id",
    "scoring_pointsgiven": "contact_id",
    "scoring_scoredue": "contact_id",
    "scoring_lookagain": "contact_id",
    "scoring_graduationspared": "contact_id",
    "scoring_bantfact": "contact_id",
    "scoring_handoff": "contact_id",
}
DEFINITIONS_OF_SCORES = ("scoring_scoreversion", "scoring_rule")
EMPTY = (
    "nurture_domainrest",
    "nurture_stepvisit",
    "nurture_task",
    "nurture_webhookcall",
    "leads_mark",
    "leads_auditentry",
    "scoring_notice",
)
GROWING = ("nurture_enrolment", "nurture_stepvisit", "nurture_sending", "nurture_splitpass", "simulation_answer")
EMPTY_OF_SCORES = ("scoring_handoffevent",)


@contextmanager
def own_session() -> Iterator[None]:
    """A session of its own for this thread; whatever happens, it is closed and the one before is back."""
    before = connections[ALIAS]
    fresh = connections.create_connection(ALIAS)
    connections[ALIAS] = fresh
    try:
        queries.prepare_session()
        yield
    finally:
        connections[ALIAS] = before
        fresh.close()


def take_over(contact_ids: Sequence[int], reads: Reading, *, trials: bool = True) -> None:
    """Make the tables and fill them with what is true now about these people; from then on the session only reads what is live.

    `trials`: with everybody whom the trials of splits watch, who are many, so that winners are found.
    """
    definitions = (*DEFINITIONS, *(TRIALS if trials else ()), *(DEFINITIONS_OF_SCORES if reads.scores else ()))
    queries.make_people(contact_ids)
    for table in definitions:
        queries.copy_whole(table)
    people = PEOPLE | (SCORES if reads.scores else {})
    for table, column in people.items():
        queries.copy_of_people(table, column)
    behaviour = BEHAVIOUR if reads.behaviour else {}
    for table, column in behaviour.items():
        queries.copy_of_people(table, column, kinds=reads.kinds)
    for table in (*EMPTY, *(() if trials else TRIALS), *(EMPTY_OF_SCORES if reads.scores else ())):
        queries.make_empty(table)
    queries.make_answers()
    filled = [table for table, size in queries.sizes([*definitions, *people, *behaviour]).items() if size]
    queries.analyze(filled)
    queries.read_only()
