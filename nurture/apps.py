"""What we do next."""

from django.apps import AppConfig


class NurtureConfig(AppConfig):
    name = "nurture"

    def ready(self) -> None:
        from leads.holding import register_hold
        from leads.importing.people import register_interest
        from leads.usage import register_usage
        from nurture import (
            adding,
            consequences,
            contact_page,
            definition_kinds,
            entering,
            guards,
            merging,
            person_chapters,
            queries,
            recycled,
            splits,
            subjects,
            wakes,
        )
        from nurture.broadcasts import uses
        from nurture.templating import blocks, usage
        from nurture.turn import follow
        from scoring.recycling import register_programs
        from segments import definitions, graph
        from segments.consequences import register_consequence
        from segments.renaming import register_rewriter
        from segments.turn import register_follower

        subjects.register()
        graph.register_definitions(definition_kinds.program_definitions)
        graph.register_definitions(uses.definitions)
        register_follower("enrolments", 200, follow)
        register_follower("guards", 205, guards.follow)
        register_follower("splits", 204, splits.follow)
        register_follower("wakes", 206, wakes.follow)
        register_follower("recycled", 210, recycled.follow)
        register_programs(recycled.choices)
        for kind in definition_kinds.KINDS_OF_DEFINITIONS:
            definitions.register_definition_kind(kind)
        contact_page.register()
        merging.register()
        adding.register()
        person_chapters.register()
        register_hold(queries.hold_walks)
        register_consequence("program", consequences.tell_program)
        register_consequence("steps", consequences.tell_steps)
        register_rewriter(consequences.rewrite)
        register_rewriter(blocks.rewrite)
        register_rewriter(uses.rewrite)
        register_usage(usage.template_uses)
        register_interest(entering.asks_for_imports)
