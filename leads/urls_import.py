"""Addresses of the import pages, in the name space of leads."""

from django.urls import path

from leads.views import imports

urlpatterns = [
    path("", imports.import_list, name="import-list"),
    path("new/", imports.import_new, name="import-new"),
    path("<int:pk>/", imports.import_detail, name="import-detail"),
    path("<int:pk>/columns/", imports.import_columns, name="import-columns"),
    path("<int:pk>/reading/", imports.import_reading, name="import-reading"),
    path("<int:pk>/start/", imports.import_start, name="import-start"),
    path("<int:pk>/change/", imports.import_change, name="import-change"),
    path("<int:pk>/cancel/", imports.import_cancel, name="import-cancel"),
    path("<int:pk>/rejects.csv", imports.import_rejects, name="import-rejects"),
    path("<int:pk>/mapping.json", imports.import_mapping, name="import-mapping"),
]
