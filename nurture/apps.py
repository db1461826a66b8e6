"""What we do next."""

from django.apps import AppConfig


class NurtureConfig(AppConfig):
    name = "nurture"
