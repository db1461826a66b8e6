"""Addresses of the personas, below segments/personas/."""

from django.urls import path

from segments import views_personas as views

urlpatterns = [
    path("", views.persona_list, name="persona-list"),
    path("new/", views.persona_new, name="persona-new"),
    path("<slug:slug>/", views.persona_detail, name="persona-detail"),
    path("<slug:slug>/edit/", views.persona_edit, name="persona-edit"),
    path("<slug:slug>/review/", views.persona_review, name="persona-review"),
    path("<slug:slug>/move/", views.persona_move, name="persona-move"),
    path("<slug:slug>/delete/", views.persona_delete, name="persona-delete"),
]
