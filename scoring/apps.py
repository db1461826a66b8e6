"""How good, how keen, and why."""

from django.apps import AppConfig


class ScoringConfig(AppConfig):
    name = "scoring"

    def ready(self) -> None:
        from scoring import (
            consequences,
            contact_page,
            contact_page_bant,
            contact_page_lifecycle,
            corners,
            definition_kinds,
            definition_kinds_graduation,
            definition_kinds_routing,
            fields,
            fields_bant,
            imports_bant,
            merging,
            nodes,
            nodes_bant,
            nodes_graduation,
            person_chapters,
            queue_nodes,
        )
        from scoring.actions import hand_over_ripe
        from scoring.actions.bant import look_again
        from scoring.actions.graduation import hand_over_graduates
        from segments import definitions, graph
        from segments.consequences import register_consequence
        from segments.renaming import register_rewriter
        from segments.turn import register_follower

        fields.register()
        fields_bant.register()
        imports_bant.register()
        graph.register_nodes(nodes.score_nodes, waiting=nodes.models_wait)
        graph.register_nodes(nodes_bant.bant_nodes, waiting=nodes_bant.lapses_wait)
        graph.register_nodes(nodes_graduation.graduation_nodes, waiting=nodes_graduation.graduations_wait)
        graph.register_definitions(corners.graduation_definitions)
        graph.register_definitions(corners.score_definitions)
        graph.register_definitions(corners.routing_definitions)
        graph.register_nodes(queue_nodes.queue_nodes, waiting=lambda now: False)  # nodes.models_wait asks for them too
        register_follower("hand_offs", 100, hand_over_ripe)
        register_follower("looks_again", 102, look_again)
        register_follower("graduates", 105, hand_over_graduates)
        definitions.register_definition_kind(definition_kinds.KIND)
        definitions.register_definition_kind(definition_kinds_routing.KIND)
        definitions.register_definition_kind(definition_kinds_graduation.KIND)
        contact_page.register()
        contact_page_bant.register()
        contact_page_lifecycle.register()
        merging.register()
        person_chapters.register()
        register_consequence("score", consequences.tell)
        register_rewriter(consequences.rewrite)
