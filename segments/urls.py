"""Addresses of the room segments."""

from django.urls import include, path

from segments.views import segment_list, segments

app_name = "segments"

urlpatterns = [
    path("", segment_list.segment_list, name="segment-list"),
    path("sizes/", segment_list.segment_sizes, name="segment-sizes"),
    path("bulk/", segment_list.segment_bulk, name="segment-bulk"),
    path("contacts/<int:pk>/", segments.contact_why, name="contact-why"),
    path("new/", segments.segment_new, name="segment-new"),
    path("personas/", include("segments.urls_personas")),
    path("conditions/", include("segments.urls_builder")),
    path("<slug:slug>/", segments.segment_detail, name="segment-detail"),
    path("<slug:slug>/edit/", segments.segment_edit, name="segment-edit"),
    path("<slug:slug>/now/", segments.segment_now, name="segment-now"),
    path("<slug:slug>/members/", segments.segment_members, name="segment-members"),
    path("<slug:slug>/versions/", segments.segment_versions, name="segment-versions"),
    path("<slug:slug>/versions/<int:number>/restore/", segments.segment_restore, name="segment-restore"),
    path("<slug:slug>/why/", segments.segment_why, name="segment-why"),
    path("<slug:slug>/people/", segments.segment_people, name="segment-people"),
    path("<slug:slug>/duplicate/", segments.segment_duplicate, name="segment-duplicate"),
    path("<slug:slug>/rename/", segments.segment_rename, name="segment-rename"),
    path("<slug:slug>/archive/", segments.segment_archive, name="segment-archive"),
    path("<slug:slug>/unarchive/", segments.segment_unarchive, name="segment-unarchive"),
    path("<slug:slug>/delete/", segments.segment_delete, name="segment-delete"),
    path("<slug:slug>/export/", segments.segment_export, name="segment-export"),
]
