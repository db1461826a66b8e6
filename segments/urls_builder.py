"""Addresses that the builder of conditions asks, below segments/conditions/."""

from django.urls import path

from segments.views import builder

urlpatterns = [
    path("node/", builder.conditions_node, name="conditions-node"),
    path("preview/", builder.conditions_preview, name="conditions-preview"),
    path("people/", builder.conditions_people, name="conditions-people"),
    path("values/", builder.conditions_values, name="conditions-values"),
]
