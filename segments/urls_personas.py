"""Addresses of the personas, below segments/personas/."""

from django.urls import path

from segments.views import personas

urlpatterns = [
    path("", personas.persona_list, name="persona-list"),
    path("new/", personas.persona_new, name="persona-new"),
    path("<slug:slug>/", personas.persona_detail, name="persona-detail"),
    path("<slug:slug>/edit/", personas.persona_edit, name="persona-edit"),
    path("<slug:slug>/review/", personas.persona_review, name="persona-review"),
    path("<slug:slug>/move/", personas.persona_move, name="persona-move"),
    path("<slug:slug>/delete/", personas.persona_delete, name="persona-delete"),
]
