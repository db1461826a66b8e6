"""Addresses of the room nurture."""

from django.urls import path

from nurture.views import around, mails, programs, public, steps, templates, work

app_name = "nurture"

urlpatterns = [
    path("", programs.program_list, name="program-list"),
    path("new/", programs.program_new, name="program-new"),
    path("outbox/", mails.sending_list, name="sending-list"),
    path("outbox/<int:pk>/", mails.sending_detail, name="sending-detail"),
    path("outbox/<int:pk>/body/", mails.sending_body, name="sending-body"),
    path("outbox/<int:pk>/decide/", mails.sending_decide, name="sending-decide"),
    path("tasks/", work.task_list, name="task-list"),
    path("tasks/<int:pk>/done/", work.task_done, name="task-done"),
    path("budget/", around.budget_edit, name="budget-edit"),
    path("health/", work.health_page, name="health"),
    path("templates/", templates.template_list, name="template-list"),
    path("templates/new/", templates.template_new, name="template-new"),
    path("templates/preview/", templates.template_preview, name="template-preview"),
    path("templates/preview/<uuid:key>/", templates.template_preview_body, name="template-preview-body"),
    path("templates/<slug:slug>/", templates.template_edit, name="template-edit"),
    path("templates/<slug:slug>/test/", templates.template_test, name="template-test"),
    path("templates/<slug:slug>/archive/", templates.template_archive, name="template-archive"),
    path("u/<uuid:token>/", public.unsubscribe, name="unsubscribe"),
    path("u/<uuid:token>/preferences/", public.preferences_of_mail, name="preferences-of-mail"),
    path("u/preferences/<str:token>/", public.preferences, name="preferences"),
    path("u/confirm/<str:token>/", public.confirm, name="confirm"),
    path("<slug:slug>/", programs.program_detail, name="program-detail"),
    path("<slug:slug>/counts/", programs.program_counts, name="program-counts"),
    path("<slug:slug>/settings/", programs.program_settings, name="program-settings"),
    path("<slug:slug>/draft/", programs.program_draft, name="program-draft"),
    path("<slug:slug>/discard/", programs.program_discard, name="program-discard"),
    path("<slug:slug>/publish/", programs.program_publish, name="program-publish"),
    path("<slug:slug>/pause/", programs.program_pause, name="program-pause"),
    path("<slug:slug>/resume/", programs.program_resume, name="program-resume"),
    path("<slug:slug>/stop/", programs.program_stop, name="program-stop"),
    path("<slug:slug>/archive/", programs.program_archive, name="program-archive"),
    path("<slug:slug>/people/", programs.program_people, name="program-people"),
    path("<slug:slug>/people/<int:pk>/release/", programs.person_release, name="person-release"),
    path("<slug:slug>/retry/", programs.program_retry, name="program-retry"),
    path("<slug:slug>/around/", around.around_edit, name="around-edit"),
    path("<slug:slug>/result/", around.program_result, name="program-result"),
    path("<slug:slug>/trigger/", steps.trigger_edit, name="trigger-edit"),
    path("<slug:slug>/steps/new/", steps.step_new, name="step-new"),
    path("<slug:slug>/steps/<slug:step>/", steps.step_detail, name="step-detail"),
    path("<slug:slug>/steps/<slug:step>/delete/", steps.step_delete, name="step-delete"),
    path("<slug:slug>/steps/<slug:step>/winner/", steps.step_winner, name="step-winner"),
    path("<slug:slug>/steps/<slug:step>/move/", steps.step_move, name="step-move"),
]
