"""Addresses that the builder of conditions asks, below segments/conditions/."""

from django.urls import path

from segments import views_builder as views

urlpatterns = [
    path("node/", views.conditions_node, name="conditions-node"),
    path("preview/", views.conditions_preview, name="conditions-preview"),
    path("people/", views.conditions_people, name="conditions-people"),
    path("values/", views.conditions_values, name="conditions-values"),
]
