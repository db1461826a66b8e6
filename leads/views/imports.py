"""Pages of the import: upload, columns, preview, progress, report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST, require_safe

from leads.access import require
from leads.forms.imports import ColumnsForm, ReadingForm, UploadForm
from leads.importing import jobs, rejects
from leads.importing import mapping as mappings
from leads.importing.fields import FIELDS
from leads.importing.mapping import BadMapping
from leads.importing.reading import FileRefused
from leads.models import ImportJob, ImportReject

PAGE = 25
State = ImportJob.State


@require_safe
@require("import")
def import_list(request: HttpRequest) -> HttpResponse:
    found = ImportJob.objects.select_related("requested_by").order_by("-id")
    before = request.GET.get("before", "")
    if before.isdigit():
        found = found.filter(pk__lt=int(before))
    page = list(found[: PAGE + 1])
    return render(
        request, "leads/import_list.html", {"jobs": page[:PAGE], "has_more": len(page) > PAGE, "before": before}
    )


@require("import")
def import_new(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        assert isinstance(request.user, User)
        try:
            job = jobs.receive(
                form.cleaned_data["file"], kind=form.cleaned_data["kind"], user=request.user, now=timezone.now()
            )
        except FileRefused as error:
            form.add_error("file", str(error))
        else:
            return redirect("leads:import-columns", job.pk)
    return render(request, "leads/import_new.html", {"form": form}, status=422 if form.errors else 200)


@require("import")
def import_columns(request: HttpRequest, pk: int) -> HttpResponse:
    job = _job(pk)
    if job.state not in (State.MAPPING, State.CHECKED, State.CHECKING):
        return redirect("leads:import-detail", pk)
    mapping, types, problem = mappings.from_document(job.mapping), dict(job.new_fields), ""
    if request.method == "POST":
        try:
            mapping, types = ColumnsForm.read(job, request.POST)
            jobs.check(job, mapping=mapping, types=types, now=timezone.now())
            return redirect("leads:import-detail", pk)
        except BadMapping as error:
            problem = str(error)
        except jobs.JobLost as error:
            messages.warning(request, str(error))
            return redirect("leads:import-detail", pk)
    context = {
        "job": job,
        "form": ColumnsForm(job, mapping, types),
        "reading": ReadingForm(job=job),
        "problem": problem,
    }
    return render(request, "leads/import_columns.html", context, status=422 if problem else 200)


@require_POST
@require("import")
def import_reading(request: HttpRequest, pk: int) -> HttpResponse:
    """The file is read anew with another encoding, delimiter or kind."""
    job = _job(pk)
    form = ReadingForm(request.POST, job=job)
    if job.state not in (State.MAPPING, State.CHECKED):
        return redirect("leads:import-detail", pk)
    if form.is_valid():
        try:
            jobs.look_again(
                job,
                kind=form.cleaned_data["kind"],
                encoding=form.cleaned_data.get("encoding", ""),
                delimiter=form.cleaned_data.get("delimiter", ""),
            )
        except FileRefused as error:
            messages.error(request, str(error))
    return redirect("leads:import-columns", pk)


@require_safe
@require("import")
def import_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Progress, preview or report, whatever the import has come to; the page asks for the same fragment again while it runs."""
    job = _job(pk)
    if job.state == State.MAPPING:
        return redirect("leads:import-columns", pk)
    template = "leads/_import_state.html" if request.headers.get("HX-Request") else "leads/import_detail.html"
    return render(request, template, _state_of(job))


def _state_of(job: ImportJob) -> dict[str, Any]:
    context: dict[str, Any] = {"job": job, "is_running": job.state in jobs.DUE, "preview": job.preview or {}}
    if job.state in jobs.DUE:
        context |= _progress(job)
    elif job.state == State.CHECKED:
        preview = context["preview"]
        context |= {
            "counts": _counts(**preview["counts"]),
            "shown": _shown(preview["rejects"], job),
            "sample": _sample(preview.get("sample", []), job),
        }
        context["empty_cells"] = _empty_cells(job)
    else:
        if job.started_at and job.finished_at:
            context["seconds"] = (job.finished_at - job.started_at).total_seconds()
        if job.state == State.DONE:
            context["empty_cells"] = _empty_cells(job)
        counts = {name: getattr(job, name) for name in ("created", "updated", "unchanged", "rejected")}
        stored = ImportReject.objects.filter(job=job).order_by("line")[: jobs.SHOWN_REJECTS]
        found = [{"line": one.line, "reason": one.reason, "raw": jobs.shortened(one.raw)} for one in stored]
        context |= {"counts": _counts(read=job.rows_done, **counts), "shown": _shown(found, job)}
    return context


def _empty_cells(job: ImportJob) -> list[tuple[str, int]]:
    """Fields that some rows leave empty, and how many do; nothing for a file longer than what was looked through."""
    if not job.rows_total or job.rows_total > jobs.SURVEY_ROWS:
        return []
    fields = FIELDS[job.kind]
    found = []
    for column in job.columns:
        wanted = job.mapping.get("columns", {}).get(column["name"]) or []
        target = wanted[0] if isinstance(wanted, list) and wanted else wanted
        empty = job.rows_total - column["filled"]
        if target and empty:
            label = str(fields[target].label).partition(" (")[0] if target in fields else column["name"]
            found.append((label, empty))
    return found


def _progress(job: ImportJob) -> dict[str, Any]:
    """Rows per second and what is left; nothing is said before there is something to go by."""
    since = job.started_at if job.state == State.RUNNING else job.requested_at
    seconds = (timezone.now() - since).total_seconds() if since else 0
    rate = int(job.rows_done / seconds) if job.rows_done and seconds > 0.5 else 0
    left = (job.rows_total or 0) - job.rows_done
    return {
        "rate": rate,
        "seconds_left": int(left / rate) + 1 if rate and left > 0 else None,
        "percent": job.rows_done * 100 // job.rows_total if job.rows_total else None,
    }


def _counts(*, read: int, created: int, updated: int, unchanged: int, rejected: int) -> dict[str, Any]:
    parts = [
        (_("New"), created, "success", "user-plus"),
        (_("Changed"), updated, "azure", "pencil"),
        (_("Unchanged"), unchanged, "secondary", "equal"),
        (_("Rejected"), rejected, "danger", "circle-x"),
    ]
    place, bars = 0.0, []
    for label, number, colour, icon in parts:
        width = number * 100 / read if read else 0
        bars.append(
            {
                "label": label,
                "number": number,
                "colour": colour,
                "icon": icon,
                "x": f"{place:.3f}",
                "width": f"{width:.3f}",
            }
        )
        place += width
    return {"read": read, "parts": bars, "rejected": rejected, "stored": created + updated + unchanged}


def _shown(found: list[dict[str, Any]], job: ImportJob) -> list[dict[str, Any]]:
    names = [column["name"] for column in job.columns]
    for row in found:
        raw = row["raw"]
        if isinstance(raw, list):
            row["cells"] = [
                (names[place] if place < len(names) else "", cell) for place, cell in enumerate(raw) if cell
            ]
        elif isinstance(raw, dict):
            row["cells"] = list(raw.items())
        else:
            row["cells"] = [("", raw)]
    return found


def _sample(rows: list[dict[str, str]], job: ImportJob) -> dict[str, Any]:
    """Labels of the fields that the first rows fill, and the rows by them."""
    fields = FIELDS[job.kind]
    order = {key: place for place, key in enumerate(fields)}
    keys = sorted({key for row in rows for key in row}, key=lambda key: (order.get(key, 999), key))
    return {
        "labels": [
            str(fields[key].label).partition(" (")[0] if key in fields else key.replace("_", " ") for key in keys
        ],
        "rows": [[row.get(key, "") for key in keys] for row in rows],
    }


@require_POST
@require("import")
def import_start(request: HttpRequest, pk: int) -> HttpResponse:
    return _step(request, pk, "start")


@require_POST
@require("import")
def import_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Back to the columns."""
    job = _job(pk)
    try:
        jobs.change_columns(job)
    except jobs.JobLost as error:
        messages.warning(request, str(error))
    return redirect("leads:import-columns", pk)


@require_POST
@require("import")
def import_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _step(request, pk, "cancel")


def _step(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    job = _job(pk)
    assert isinstance(request.user, User)
    try:
        if verb == "start":
            jobs.start(job, user=request.user, now=timezone.now())
        else:
            jobs.cancel(job, user=request.user, now=timezone.now())
            messages.success(request, _("The import is cancelled."))
    except jobs.JobLost as error:
        messages.warning(request, str(error))
    return redirect("leads:import-detail", pk)


@require_GET
@require("import")
def import_rejects(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Rejected rows as they stood in the file, with line and reason; mended, the file can be imported as it is."""
    job = _job(pk)
    found = ImportReject.objects.filter(job=job).order_by("line")
    header = [column["name"] for column in job.columns] if job.format == "csv" else []
    rows: Iterator[tuple[int, str, Any]] = ((one.line, one.reason, one.raw) for one in found.iterator(2_000))
    response = StreamingHttpResponse(rejects.csv_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="rejected-{job.pk}.csv"'
    return response


@require_GET
@require("import")
def import_mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """The mapping as `manage.py load --mapping` takes it."""
    job = _job(pk)
    response = HttpResponse(json.dumps(job.mapping, ensure_ascii=False, indent=2), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="mapping-{job.pk}.json"'
    return response


def _job(pk: int) -> ImportJob:
    job: ImportJob = get_object_or_404(ImportJob.objects.select_related("requested_by"), pk=pk)
    if job.kind not in ImportJob.Kind.values:
        raise Http404
    return job
