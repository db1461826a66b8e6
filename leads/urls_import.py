"""Addresses of the import pages, in the name space of leads."""

from django.urls import path

from leads import views_import

urlpatterns = [
    path("", views_import.import_list, name="import-list"),
    path("new/", views_import.import_new, name="import-new"),
    path("<int:pk>/", views_import.import_detail, name="import-detail"),
    path("<int:pk>/columns/", views_import.import_columns, name="import-columns"),
    path("<int:pk>/reading/", views_import.import_reading, name="import-reading"),
    path("<int:pk>/start/", views_import.import_start, name="import-start"),
    path("<int:pk>/change/", views_import.import_change, name="import-change"),
    path("<int:pk>/cancel/", views_import.import_cancel, name="import-cancel"),
    path("<int:pk>/rejects.csv", views_import.import_rejects, name="import-rejects"),
    path("<int:pk>/mapping.json", views_import.import_mapping, name="import-mapping"),
]
