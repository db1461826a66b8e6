"""Facts: the lowest room."""

from django.apps import AppConfig


class LeadsConfig(AppConfig):
    name = "leads"

    def ready(self) -> None:
        from leads import merging, person_chapters, timeline

        merging.register()
        timeline.register()
        person_chapters.register()
