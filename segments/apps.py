"""Who belongs together."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    name = "segments"

    def ready(self) -> None:
        from leads.usage import register_usage
        from segments import (
            contact_page,
            contact_page_personas,
            definition_kinds,
            definitions,
            fields,
            graph,
            merging,
            nodes,
            person_chapters,
        )

        fields.register()
        graph.register_nodes(nodes.segment_nodes, waiting=nodes.segments_wait)
        graph.register_definitions(nodes.segment_definitions)
        register_usage(lambda: graph.users_of(graph.definitions()))
        for kind in definition_kinds.KINDS:
            definitions.register_definition_kind(kind)
        contact_page.register()
        contact_page_personas.register()
        merging.register()
        person_chapters.register()
