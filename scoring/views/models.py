"""Pages of score models: list, what is live, the draft and its rules, the publish sheet, versions, people behind numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads import lists
from leads.access import can, require
from leads.figures import figures
from leads.models import Contact
from scoring import access, actions, bant, caps, cards, pages, queries
from scoring.actions import Refused
from scoring.forms.bant import WeightsForm, presets_of
from scoring.forms.score_models import LinesForm, ModelForm, PublishForm, RuleForm, SettingsForm, plain
from scoring.grades import GRADES
from scoring.models import HandOff, Rule, ScoreModel, ScoreVersion
from scoring.occurrences import counting_of, rule_in_words, steps_in_words
from scoring.queries.bant import met_counts
from scoring.trial import draft_plan, try_on
from segments.conditions import BadConditions, Catalogue, time_limit

PAGE_SIZE = 50
SHEET_SECONDS = 60.0  # the difference over 1 M contacts takes some 10 s; a rule that cannot be worked out stops here
TEST_CONTACT = "scoring_test_contact"


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@require_GET
@require("see")
def model_list(request: HttpRequest) -> HttpResponse:
    """Five statements, whatever the number of models."""
    models = list(ScoreModel.objects.prefetch_related("versions__rules"))
    open_leads = dict(HandOff.objects.open().values_list("model").annotate(number=Count("*")).order_by())
    rows = []
    for model in models:
        versions = {version.state: version for version in model.versions.all()}
        live, draft = versions.get(ScoreVersion.State.LIVE), versions.get(ScoreVersion.State.DRAFT)
        shown = live or draft
        rows.append(
            pages.ModelRow(
                model,
                live,
                draft if draft and (live is None or pages.has_changes(draft, live)) else None,
                rule_count=len(shown.rules.all()) if shown else 0,
                open_leads=open_leads.get(model.pk, 0),
                over_line=0,
            )
        )
    return render(
        request,
        "scoring/model_list.html",
        {
            "rows": [row for row in rows if row.model.archived_at is None],
            "archived": [row for row in rows if row.model.archived_at is not None],
        },
    )


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def model_new(request: HttpRequest) -> HttpResponse:
    form = ModelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        model = actions.create_model(
            form.cleaned_data["name"], pattern=form.cleaned_data["pattern"], actor=_user(request), now=timezone.now()
        )
        messages.success(
            request, _("“%(name)s” is a draft: look through its rules, then publish it.") % {"name": model}
        )
        return redirect("scoring:model-draft", model.slug)
    return render(request, "scoring/model_new.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@require("see")
def model_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """What is live: rules with head-counts and the answers of sales, grade grid, distribution. Some ten statements.

    The figures are kept at a large company (leads/figures.py): the page does not wait for them, its part alone is asked for after it.
    """
    model = access.model_or_404(slug)
    live, draft = access.live_and_draft(model)
    if live is None and draft is not None and can(request.user, "edit_rules"):
        return redirect("scoring:model-draft", model.slug)
    context: dict[str, Any] = {
        "model": model,
        "live": live,
        "draft": draft if draft and pages.has_changes(draft, live) else None,
        "tab": "live",
        "caps": caps.in_words(live.caps) if live else [],
    }
    if live is not None:
        is_part = request.headers.get("HX-Target") == "model-figures"
        context |= _model_figures(live, wait=is_part or request.GET.get("now") == "yes")
        context |= {"address": request.path, "address_now": f"{request.path}?now=yes", "is_part": is_part}
        if is_part:
            return render(request, "scoring/_model_figures.html", context)
    return render(request, "scoring/model_detail.html", context)


def _model_figures(live: ScoreVersion, *, wait: bool) -> dict[str, Any]:
    """Who stands where, and what sales said to the rules. Three passes over the scores and hand-offs of the model; empty while there are none."""
    now = timezone.now()
    found = figures(
        f"model:{live.model_id}:{live.pk}:1",
        lambda: (
            queries.spread(live.model_id),
            queries.answers_per_rule(live.model_id),
            queries.people_count(live.model_id, at_least=live.threshold),
            HandOff.objects.open().filter(model=live.model_id).count(),
            met_counts(now) if live.includes_bant else {},
        ),
        now=now,
        wait=wait,
    )
    if found is None:
        return {}
    (grades, bands), answers, over_line, open_leads, facets = found.value
    shown = pages.bars(bands, live.threshold)
    return {
        "groups": pages.grouped(_live_rows(live, answers, facets)),
        "grid": pages.grid(grades),
        "bars": shown,
        "line_x": pages.line_x(shown, live.threshold),
        "people": sum(grades.values()),
        "over_line": over_line,
        "open_leads": open_leads,
        "as_of": found.at if found.is_kept else None,
        "is_stale": found.is_stale(now),
    }


@require_GET
@require("see")
def model_people(request: HttpRequest, slug: str) -> HttpResponse:
    """Who stands behind a number of the model page. Four statements."""
    model = access.model_or_404(slug)
    chosen = _choice(request, model)
    after = _after(request)
    rows = queries.people(model.pk, limit=PAGE_SIZE + 1, after=after, **chosen.filters)
    contacts = Contact.objects.select_related("company").in_bulk([row.contact_id for row in rows[:PAGE_SIZE]])
    return render(
        request,
        "scoring/model_people.html",
        {
            "model": model,
            "title": chosen.title,
            "count": queries.people_count(model.pk, **chosen.filters),
            "rows": [(row, contacts[row.contact_id]) for row in rows[:PAGE_SIZE] if row.contact_id in contacts],
            "next": f"{rows[PAGE_SIZE - 1].total}_{rows[PAGE_SIZE - 1].contact_id}" if len(rows) > PAGE_SIZE else "",
            "filters": chosen.query,
        },
    )


@dataclass(frozen=True)
class _Choice:
    """Which number of the model page was opened."""

    title: str
    filters: dict[str, Any]
    query: str


def _choice(request: HttpRequest, model: ScoreModel) -> _Choice:
    asked = request.GET
    if asked.get("grade") in GRADES:
        return _Choice(
            _("Grade %(grade)s") % {"grade": asked["grade"]}, {"grade": asked["grade"]}, f"grade={asked['grade']}"
        )
    if asked.get("rule"):
        try:
            key = UUID(asked["rule"])
        except ValueError as error:
            raise Http404 from error
        rule = (
            Rule.objects.filter(version__model=model, key=key)
            .exclude(version__state="draft")
            .order_by("-version__number")
            .first()
        )
        rule = rule or bant.named(model).get(key)
        if rule is None:
            raise Http404
        return _Choice(rule.name, {"rule": key}, f"rule={key}")
    if asked.get("over") == "line":
        live = access.live_version(model)
        if live is None:
            raise Http404
        return _Choice(_("Over the line"), {"at_least": live.threshold}, "over=line")
    try:
        band = int(asked.get("band", ""))
    except ValueError:
        return _Choice(_("Everybody"), {}, "")
    return _Choice(_("%(band)s points") % {"band": pages.band_label(band)}, {"band": band}, f"band={band}")


def _after(request: HttpRequest) -> tuple[Decimal, int] | None:
    """The row before this page, from the address; None for none or a spoilt one."""
    total, _separator, contact = request.GET.get("after", "").partition("_")
    try:
        after = Decimal(total), int(contact)
    except (InvalidOperation, ValueError):
        return None
    return after if after[0].is_finite() and abs(after[0]) < 10**10 and 0 < after[1] < 2**63 else None


def _live_rows(
    live: ScoreVersion, answers: Mapping[UUID, Mapping[str, int]], facets: Mapping[str, int]
) -> list[pages.RuleRow]:
    """With how many people meet each facet of BANT, which is no stored rule that could keep its count."""
    rows = pages.live_rows(live, answers)
    for row in rows:
        if row.rule.group == Rule.Group.BANT:
            row.rule.met_count = facets.get(bant.FACETS[row.rule.position - 1], 0)
    return rows


# --- the draft --------------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def model_draft(request: HttpRequest, slug: str) -> HttpResponse:
    """Rules and lines of the draft, with the test contact beside them. A POST saves the lines."""
    model = access.editable_model_or_404(slug)
    draft = _draft(model)
    form = LinesForm.of(draft)
    if request.method == "POST":
        form = LinesForm(request.POST)
        if form.is_valid():
            try:
                actions.change_lines(
                    draft,
                    threshold=form.cleaned_data["threshold"],
                    fit_lines=form.fit_lines,
                    behaviour_lines=form.behaviour_lines,
                    caps=form.caps,
                    edit_number=form.cleaned_data["edit_number"],
                    actor=_user(request),
                    now=timezone.now(),
                )
                messages.success(request, _("The lines of the draft are saved."))
                return redirect("scoring:model-draft", model.slug)
            except Refused as error:
                form.add_error(None, str(error))
    context = {"form": form, **_draft_context(request, model, draft)}
    return render(request, "scoring/model_draft.html", context, status=422 if form.errors else 200)


def _draft(model: ScoreModel) -> ScoreVersion:
    """The draft, made from what is live when somebody comes to edit."""
    draft = actions.draft_of(model, now=timezone.now())
    draft.model = model
    return draft


def _draft_context(request: HttpRequest, model: ScoreModel, draft: ScoreVersion) -> dict[str, Any]:
    live = access.live_version(model)
    pinned = _pinned(request)
    test = try_on(pinned, draft, now=timezone.now()) if pinned else None
    return {
        "model": model,
        "live": live,
        "draft": draft,
        "groups": pages.grouped(pages.draft_rows(draft, live, test)),
        "has_changes": pages.has_changes(draft, live),
        "test": test,
        "tab": "draft",
        "bant_form": WeightsForm.of(draft),
        "bant_presets": presets_of(draft),
    }


def _pinned(request: HttpRequest) -> Contact | None:
    """The contact that the marketer tries drafts on."""
    return Contact.objects.filter(pk=request.session.get(TEST_CONTACT) or 0).select_related("company").first()


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def model_test(request: HttpRequest, slug: str) -> HttpResponse:
    """The pinned test contact: GET finds people by words, POST pins one (or none)."""
    model = access.editable_model_or_404(slug)
    if request.method == "POST":
        pinned = Contact.objects.filter(pk=_number(request.POST.get("contact"))).first()
        if pinned is None:
            request.session.pop(TEST_CONTACT, None)
        else:
            request.session[TEST_CONTACT] = pinned.pk
        return redirect("scoring:model-draft", model.slug)
    text = request.GET.get("q", "").strip()[:200]
    words = lists.words_of(text)
    found = lists.search_contacts(Contact.objects.all(), words) if words else Contact.objects.none()
    return render(
        request,
        "scoring/_test_choices.html",
        {
            "model": model,
            "text": text,
            "contacts": found.select_related("company").order_by("-created_at", "-id")[:8],
        },
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def rule_new(request: HttpRequest, slug: str) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    draft = _draft(model)
    group = request.GET.get("group", "")
    initial = {"edit_number": draft.edit_number, "group": group if group in Rule.Group.values else Rule.Group.FIT}
    return _edit_rule(request, draft, None, RuleForm(request.POST or None, initial=initial))


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def rule_edit(request: HttpRequest, slug: str, key: UUID) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    draft = _draft(model)
    rule = next((rule for rule in draft.rules.all() if rule.key == key), None)
    if rule is None:
        raise Http404
    initial = {
        "edit_number": draft.edit_number,
        "name": rule.name,
        "group": rule.group,
        "points": plain(rule.points),
        "conditions": rule.conditions,
        **RuleForm.counting_of(rule),
    }
    return _edit_rule(request, draft, rule, RuleForm(request.POST or None, initial=initial))


def _edit_rule(request: HttpRequest, draft: ScoreVersion, rule: Rule | None, form: RuleForm) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            saved = actions.save_rule(
                draft,
                key=rule.key if rule else None,
                group=data["group"],
                name=data["name"],
                conditions=data["conditions"],
                points=data["points"],
                counting=form.counting,
                edit_number=data["edit_number"],
                actor=_user(request),
                now=timezone.now(),
            )
        except actions.Outdated as error:
            form.add_error(None, _told(request, form, draft, rule) or str(error))
        except (Refused, BadConditions) as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request,
                _("“%(rule)s” is saved in the draft. Nobody's score changes until you publish.") % {"rule": saved},
            )
            return redirect("scoring:model-draft", draft.model.slug)
    context = {"form": form, "rule": rule, "model": draft.model, "draft": draft}
    return render(request, "scoring/rule_form.html", context, status=422 if form.errors else 200)


def _told(request: HttpRequest, form: RuleForm, draft: ScoreVersion, rule: Rule | None) -> str:
    """Somebody saved first: ours stays in the form, and saving once more is a decision with theirs in sight. Empty without a draft."""
    there = ScoreVersion.objects.filter(pk=draft.pk, state=ScoreVersion.State.DRAFT).first()
    if there is None:
        return ""
    form.data = request.POST.copy()
    form.data["edit_number"] = str(there.edit_number)
    words = _(
        "Somebody else changed this draft meanwhile. What you wrote stands here, unsaved; saving again puts it in."
    )
    if rule is None:
        return words
    stored = _("Stored is now “%(name)s”, %(points)s points: %(sentence)s.")
    said = {"name": rule.name, "points": plain(rule.points), "sentence": cards.words(rule.conditions)}
    return f"{words} {stored % said}"


@require_POST
@require("edit_rules")
def rule_preview(request: HttpRequest, slug: str) -> HttpResponse:
    """What the rule being typed says, and what the draft with it gives the test contact. Nothing is saved."""
    model = access.editable_model_or_404(slug)
    draft = access.draft_or_404(model)
    form = RuleForm(request.POST)
    context: dict[str, Any] = {"model": model, "draft": draft, "form": form}
    if form.is_valid():
        rule = form.as_rule(draft, request.POST.get("key", ""))
        others = [one for one in bant.all_rules(draft) if one.key != rule.key]
        pinned = _pinned(request)
        counting = counting_of(rule)
        context |= {
            "rule": rule,
            "sentence": rule_in_words(rule),
            "steps": steps_in_words(rule, counting) if counting else [],
            "test": try_on(pinned, draft, now=timezone.now(), rules=[*others, rule]) if pinned else None,
        }
        test = context["test"]
        context["gives"] = test.points.get(rule.key, Decimal(0)) if test else None
        context["is_unknown"] = test is not None and rule.key in test.unknown
    return render(request, "scoring/_rule_preview.html", context)


@require_POST
@require("edit_rules")
def rule_delete(request: HttpRequest, slug: str, key: UUID) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    draft = access.draft_or_404(model)
    try:
        actions.delete_rule(draft, key=key, actor=_user(request), now=timezone.now())
        messages.success(request, _("The rule is out of the draft."))
    except Refused as error:
        messages.error(request, str(error))
    return redirect("scoring:model-draft", model.slug)


@require_POST
@require("edit_rules")
def draft_discard(request: HttpRequest, slug: str) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    try:
        actions.discard_draft(model, actor=_user(request), now=timezone.now())
        messages.success(request, _("The draft is gone; what is live stays as it is."))
    except Refused as error:
        messages.error(request, str(error))
    return redirect("scoring:model-detail", model.slug)


# --- publishing --------------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@require("publish")
def model_publish(request: HttpRequest, slug: str) -> HttpResponse:
    """The sheet: what differs in words at once, the exact numbers as soon as they are worked out, a reason, and the button."""
    model = access.editable_model_or_404(slug)
    draft = access.draft_version(model)
    if draft is None:
        messages.info(request, _("There is no draft: nothing to publish."))
        return redirect("scoring:model-detail", model.slug)
    draft.model = model
    form = PublishForm(request.POST or None, initial={"edit_number": draft.edit_number})
    if request.method == "POST" and form.is_valid():
        try:
            actions.publish(
                draft,
                reason=form.cleaned_data["reason"],
                backlog=form.cleaned_data["backlog"],
                backlog_per_day=form.cleaned_data["backlog_per_day"],
                edit_number=form.cleaned_data["edit_number"],
                actor=_user(request),
                now=timezone.now(),
            )
        except Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request,
                _("Version %(number)s is live. Everybody is being scored again; this takes a moment.")
                % {"number": draft.number},
            )
            return redirect("scoring:model-detail", model.slug)
    live = access.live_version(model)
    rows = pages.draft_rows(draft, live)
    context = {
        "model": model,
        "draft": draft,
        "live": live,
        "form": form,
        "changes": [row for row in rows if row.change] if live else rows,
        "has_changes": pages.has_changes(draft, live),
        "caps_now": caps.in_words(live.caps) if live else [],
        "caps_then": caps.in_words(draft.caps),
        "hand_off_words": cards.words(draft.hand_off_conditions) if draft.hand_off_conditions else "",
    }
    return render(request, "scoring/model_publish.html", context, status=422 if form.errors else 200)


@require_GET
@require("edit_rules")
def publish_difference(request: HttpRequest, slug: str) -> HttpResponse:
    """The numbers of the sheet: one pass of the draft over everybody, nothing written."""
    model = access.editable_model_or_404(slug)
    draft = access.draft_or_404(model)
    live = access.live_version(model)
    now = timezone.now()
    context: dict[str, Any] = {"model": model, "draft": draft, "live": live, "unreadable": pages.unreadable(draft)}
    try:
        with time_limit(SHEET_SECONDS):
            plan = draft_plan(draft, now, None)
            found = queries.compare(plan, old_line=live.threshold if live else None, new_line=draft.threshold, now=now)
    except (BadConditions, Refused, DatabaseError) as error:
        return render(request, "scoring/_publish_difference.html", context | {"problem": _problem(error)})
    shown = pages.bars(found.bands_after, draft.threshold, before=found.bands_before if live else None)
    rules = bant.all_rules(draft)
    open_leads = HandOff.objects.open().filter(model=model).count()
    is_flood = found.moves["handed_over"] > max(50, 3 * open_leads)
    context |= {
        "difference": found,
        "grid": pages.grid(found.grades_after, before=found.grades_before if live else None),
        "bars": shown,
        "line_x": pages.line_x(shown, draft.threshold),
        "met": [(rule, found.met.get(rule.key, 0)) for rule in rules],
        "nobody": [rule for rule in rules if not found.met.get(rule.key)],
        "everybody": [rule for rule in rules if found.contacts and found.met.get(rule.key) == found.contacts],
        "open_leads": open_leads,
        "is_flood": is_flood,
        # Nothing is chosen beforehand where it would fill the queue: all, none or the best is to be said.
        "undecided": PublishForm(initial={"backlog": None}) if is_flood else None,
    }
    return render(request, "scoring/_publish_difference.html", context)


def _problem(error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, BadConditions):
        return "; ".join(str(problem.message) for problem in error.problems)
    return _("The numbers could not be worked out in time. Look for a rule that reads very many activities.")


@require_GET
@require("edit_rules")
def publish_people(request: HttpRequest, slug: str) -> HttpResponse:
    """Who stands behind one number of the sheet."""
    model = access.editable_model_or_404(slug)
    draft = access.draft_or_404(model)
    live = access.live_version(model)
    move = request.GET.get("move", "")
    if move not in MOVE_TITLES:
        raise Http404
    now = timezone.now()
    with time_limit(SHEET_SECONDS):
        rows = queries.moved_people(
            draft_plan(draft, now, None),
            move,
            old_line=live.threshold if live else None,
            new_line=draft.threshold,
            now=now,
            limit=PAGE_SIZE + 1,
            after=_after(request),
        )
    contacts = Contact.objects.select_related("company").in_bulk([row.contact_id for row in rows[:PAGE_SIZE]])
    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    return render(
        request,
        "scoring/publish_people.html",
        {
            "model": model,
            "title": MOVE_TITLES[move],
            "move": move,
            "rows": [(row, contacts[row.contact_id]) for row in rows[:PAGE_SIZE]],
            "next": f"{last.after_total}_{last.contact_id}" if last else "",
        },
    )


MOVE_TITLES = {
    "rises": gettext_lazy("More points than now"),
    "falls": gettext_lazy("Fewer points than now"),
    "same": gettext_lazy("As many points as now"),
    "regraded": gettext_lazy("Another grade than now"),
    "crosses_up": gettext_lazy("Rise over the line"),
    "crosses_down": gettext_lazy("Fall below the line"),
    "over_before": gettext_lazy("Over the line now"),
    "over_after": gettext_lazy("Over the line then"),
    "handed_over": gettext_lazy("Would enter the MQL queue"),
}


# --- versions, settings -----------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def version_list(request: HttpRequest, slug: str) -> HttpResponse:
    model = access.model_or_404(slug)
    versions = (
        model.versions.exclude(state=ScoreVersion.State.DRAFT)
        .select_related("published_by")
        .annotate(rule_count=Count("rules"))
    )
    return render(
        request,
        "scoring/version_list.html",
        {"model": model, "versions": versions.order_by("-number"), "tab": "versions"},
    )


@require_GET
@require("see")
def version_detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """An earlier version, read only."""
    model = access.model_or_404(slug)
    version = _version(model, number)
    catalogue = Catalogue()
    rows = [pages.RuleRow(rule, rule_in_words(rule, catalogue), pages.NO_ANSWERS) for rule in version.rules.all()]
    return render(
        request,
        "scoring/version_detail.html",
        {"model": model, "version": version, "groups": pages.grouped(rows), "tab": "versions"},
    )


def _version(model: ScoreModel, number: int) -> ScoreVersion:
    version = (
        model.versions.filter(number=number).exclude(state=ScoreVersion.State.DRAFT).prefetch_related("rules").first()
    )
    if version is None:
        raise Http404
    version.model = model
    return version


@require_POST
@require("edit_rules")
def version_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    actions.restore(_version(model, number), actor=_user(request), now=timezone.now())
    messages.success(
        request,
        _("The draft says what version %(number)s said. Look it through, then publish it.") % {"number": number},
    )
    return redirect("scoring:model-draft", model.slug)


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def model_settings(request: HttpRequest, slug: str) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    form = SettingsForm(request.POST or None, initial={"name": model.name})
    if request.method == "POST" and form.is_valid():
        actions.change_model(
            model,
            name=form.cleaned_data["name"],
            routing=model.routing,
            answer_within_hours=model.answer_within_hours,
            actor=_user(request),
            now=timezone.now(),
        )
        messages.success(request, _("Saved."))
        return redirect("scoring:model-detail", model.slug)
    return render(
        request,
        "scoring/model_settings.html",
        {"model": model, "form": form, "tab": "settings"},
        status=422 if form.errors else 200,
    )


@require_POST
@require("publish")
def model_default(request: HttpRequest, slug: str) -> HttpResponse:
    model = access.editable_model_or_404(slug)
    actions.make_default(model, actor=_user(request), now=timezone.now())
    messages.success(request, _("“%(name)s” is the default model now.") % {"name": model})
    return redirect("scoring:model-list")


@require_POST
@require("publish")
def model_archive(request: HttpRequest, slug: str) -> HttpResponseBase:
    model = access.editable_model_or_404(slug)
    try:
        actions.archive_model(model, actor=_user(request), now=timezone.now())
        messages.success(request, _("“%(name)s” is archived.") % {"name": model})
    except Refused as error:
        messages.error(request, str(error))
    return redirect("scoring:model-list")
