"""Addresses of the room scoring."""

from django.urls import path

from scoring.views import bant, models, queue, reports

app_name = "scoring"

urlpatterns = [
    path("", models.model_list, name="model-list"),
    path("new/", models.model_new, name="model-new"),
    path("queue/", queue.queue, name="queue"),
    path("queue/counts/", queue.queue_counts, name="queue-counts"),
    path("queue/<int:pk>/", queue.hand_off_detail, name="hand-off-detail"),
    path("queue/<int:pk>/accept/", queue.hand_off_accept, name="hand-off-accept"),
    path("queue/<int:pk>/reject/", queue.hand_off_reject, name="hand-off-reject"),
    path("queue/<int:pk>/recycle/", queue.hand_off_recycle, name="hand-off-recycle"),
    path("queue/<int:pk>/assign/", queue.hand_off_assign, name="hand-off-assign"),
    path("bant/<int:pk>/", bant.bant_panel, name="bant-panel"),
    path("bant/<int:pk>/record/", bant.bant_record, name="bant-record"),
    path("bant/<int:pk>/track/", bant.bant_track, name="bant-track"),
    path("hand-offs/", queue.hand_off_list, name="hand-off-list"),
    path("reports/", reports.report, name="report"),
    path("reports/people/", reports.report_people, name="report-people"),
    path("<slug:slug>/", models.model_detail, name="model-detail"),
    path("<slug:slug>/people/", models.model_people, name="model-people"),
    path("<slug:slug>/draft/", models.model_draft, name="model-draft"),
    path("<slug:slug>/draft/bant/", bant.draft_bant, name="draft-bant"),
    path("<slug:slug>/draft/test/", models.model_test, name="model-test"),
    path("<slug:slug>/draft/discard/", models.draft_discard, name="draft-discard"),
    path("<slug:slug>/draft/rules/new/", models.rule_new, name="rule-new"),
    path("<slug:slug>/draft/rules/preview/", models.rule_preview, name="rule-preview"),
    path("<slug:slug>/draft/rules/<uuid:key>/", models.rule_edit, name="rule-edit"),
    path("<slug:slug>/draft/rules/<uuid:key>/delete/", models.rule_delete, name="rule-delete"),
    path("<slug:slug>/publish/", models.model_publish, name="model-publish"),
    path("<slug:slug>/publish/difference/", models.publish_difference, name="publish-difference"),
    path("<slug:slug>/publish/people/", models.publish_people, name="publish-people"),
    path("<slug:slug>/versions/", models.version_list, name="version-list"),
    path("<slug:slug>/versions/<int:number>/", models.version_detail, name="version-detail"),
    path("<slug:slug>/versions/<int:number>/restore/", models.version_restore, name="version-restore"),
    path("<slug:slug>/settings/", models.model_settings, name="model-settings"),
    path("<slug:slug>/default/", models.model_default, name="model-default"),
    path("<slug:slug>/archive/", models.model_archive, name="model-archive"),
]
