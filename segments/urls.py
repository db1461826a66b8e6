"""Addresses of the room segments."""

from django.urls import include, path

from segments import views

app_name = "segments"

urlpatterns = [
    path("", views.segment_list, name="segment-list"),
    path("new/", views.segment_new, name="segment-new"),
    path("personas/", include("segments.urls_personas")),
    path("conditions/", include("segments.urls_builder")),
    path("<slug:slug>/", views.segment_detail, name="segment-detail"),
    path("<slug:slug>/edit/", views.segment_edit, name="segment-edit"),
    path("<slug:slug>/members/", views.segment_members, name="segment-members"),
    path("<slug:slug>/versions/", views.segment_versions, name="segment-versions"),
    path("<slug:slug>/versions/<int:number>/restore/", views.segment_restore, name="segment-restore"),
    path("<slug:slug>/why/", views.segment_why, name="segment-why"),
    path("<slug:slug>/people/", views.segment_people, name="segment-people"),
    path("<slug:slug>/duplicate/", views.segment_duplicate, name="segment-duplicate"),
    path("<slug:slug>/archive/", views.segment_archive, name="segment-archive"),
    path("<slug:slug>/unarchive/", views.segment_unarchive, name="segment-unarchive"),
    path("<slug:slug>/delete/", views.segment_delete, name="segment-delete"),
    path("<slug:slug>/export/", views.segment_export, name="segment-export"),
]
