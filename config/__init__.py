"""Composition: settings, URLs, the Celery app with its beat table, embedded services, the supervisor."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
