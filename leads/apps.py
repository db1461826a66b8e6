"""Facts: the lowest room."""

from django.apps import AppConfig


class LeadsConfig(AppConfig):
    name = "leads"

    def ready(self) -> None:
        from leads import merging, timeline

        merging.register()
        timeline.register()
