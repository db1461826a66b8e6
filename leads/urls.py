"""Addresses of the room leads."""

from django.urls import URLPattern, URLResolver, include, path

from leads import views, views_merging, views_settings, views_vocabulary

app_name = "leads"

urlpatterns: list[URLPattern | URLResolver] = [
    path("contacts/", views.contact_list, name="contact-list"),
    path("contacts/new/", views.contact_new, name="contact-new"),
    path("contacts/filters/", views.contact_filters, name="contact-filters"),
    path("contacts/columns/", views.contact_columns, name="contact-columns"),
    path("contacts/bulk/", views.contact_bulk, name="contact-bulk"),
    path("contacts/bulk/value/", views.contact_bulk_value, name="contact-bulk-value"),
    path("contacts/export/", views.contact_export, name="contact-export"),
    path("contacts/company-options/", views.company_options, name="company-options"),
    path("contacts/<int:pk>/", views.contact_detail, name="contact-detail"),
    path("contacts/<int:pk>/facts/", views.contact_facts, name="contact-facts"),
    path("contacts/<int:pk>/stage/", views.contact_stage, name="contact-stage"),
    path("contacts/<int:pk>/panels/", views.contact_panels, name="contact-panels"),
    path("contacts/<int:pk>/timeline/", views.contact_timeline, name="contact-timeline"),
    path("contacts/<int:pk>/delete/", views.contact_delete, name="contact-delete"),
    path("contacts/<int:pk>/merge/", views_merging.contact_merge, name="contact-merge"),
    path("companies/", views.company_list, name="company-list"),
    path("companies/<int:pk>/", views.company_detail, name="company-detail"),
    path("companies/<int:pk>/edit/", views.company_edit, name="company-edit"),
    path("deals/", views.deal_list, name="deal-list"),
    path("deals/<int:pk>/", views.deal_detail, name="deal-detail"),
    path("imports/", include("leads.urls_import")),
    path("settings/", views_settings.settings, name="settings"),
    path("settings/fields/", views_vocabulary.field_list, name="field-list"),
    path("settings/fields/new/", views_vocabulary.field_new, name="field-new"),
    path("settings/fields/<int:pk>/", views_vocabulary.field_edit, name="field-edit"),
    path("settings/fields/<int:pk>/delete/", views_vocabulary.field_delete, name="field-delete"),
    path("settings/tags/", views_vocabulary.tag_list, name="tag-list"),
    path("settings/tags/edit/", views_vocabulary.tag_edit, name="tag-edit"),
    path("settings/stages/", views_settings.stage_list, name="stage-list"),
    path("settings/owners/", views_settings.owner_list, name="owner-list"),
    path("settings/owners/new/", views_settings.owner_edit, name="owner-new"),
    path("settings/owners/<int:pk>/", views_settings.owner_edit, name="owner-edit"),
    path("settings/people/", views_settings.user_list, name="user-list"),
    path("settings/people/new/", views_settings.user_edit, name="user-new"),
    path("settings/people/<int:pk>/", views_settings.user_edit, name="user-edit"),
    path("settings/audit/", views_settings.audit_list, name="audit-list"),
]
