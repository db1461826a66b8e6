"""How good, how keen, and why."""

from django.apps import AppConfig


class ScoringConfig(AppConfig):
    name = "scoring"
