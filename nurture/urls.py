"""Addresses of the room nurture."""

from django.urls import URLPattern

app_name = "nurture"

urlpatterns: list[URLPattern] = []
