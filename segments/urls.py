"""Addresses of the room segments."""

from django.urls import include, path

from segments import views, views_list

app_name = "segments"

urlpatterns = [
    path("", views_list.segment_list, name="segment-list"),
    path("sizes/", views_list.segment_sizes, name="segment-sizes"),
    path("bulk/", views_list.segment_bulk, name="segment-bulk"),
    path("contacts/<int:pk>/", views.contact_why, name="contact-why"),
    path("new/", views.segment_new, name="segment-new"),
    path("personas/", include("segments.urls_personas")),
    path("conditions/", include("segments.urls_builder")),
    path("<slug:slug>/", views.segment_detail, name="segment-detail"),
    path("<slug:slug>/edit/", views.segment_edit, name="segment-edit"),
    path("<slug:slug>/now/", views.segment_now, name="segment-now"),
    path("<slug:slug>/members/", views.segment_members, name="segment-members"),
    path("<slug:slug>/versions/", views.segment_versions, name="segment-versions"),
    path("<slug:slug>/versions/<int:number>/restore/", views.segment_restore, name="segment-restore"),
    path("<slug:slug>/why/", views.segment_why, name="segment-why"),
    path("<slug:slug>/people/", views.segment_people, name="segment-people"),
    path("<slug:slug>/duplicate/", views.segment_duplicate, name="segment-duplicate"),
    path("<slug:slug>/rename/", views.segment_rename, name="segment-rename"),
    path("<slug:slug>/archive/", views.segment_archive, name="segment-archive"),
    path("<slug:slug>/unarchive/", views.segment_unarchive, name="segment-unarchive"),
    path("<slug:slug>/delete/", views.segment_delete, name="segment-delete"),
    path("<slug:slug>/export/", views.segment_export, name="segment-export"),
]
