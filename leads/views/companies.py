"""Companies and one of them."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Count, F, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leads import actions, lists, queries
from leads.access import require
from leads.countries import name_of
from leads.forms.facts import CompanyForm, submit
from leads.models import Activity, Company, Contact, CustomField, Deal
from leads.views import is_fragment, posted, query_link, stage_labels

COMPANY_PEOPLE = 20
COMPANY_DEALS = 20
COMPANY_ACTIVITIES = 15


@require("see")
@require_safe
def company_options(request: HttpRequest) -> HttpResponse:
    """Companies for the datalist of a form field. One statement by the trigram index."""
    found = lists.company_options(request.GET.get("company", "")[:200])
    return render(request, "leads/_company_options.html", {"companies": found})


@require("see")
@never_cache
@require_safe
def company_list(request: HttpRequest) -> HttpResponse:
    """Companies by name, with their people and deals counted for the page only."""
    text = request.GET.get("q", "")[:200].strip()
    companies = lists.search_companies(Company.objects.all(), lists.words_of(text))
    found = lists.page(
        companies,
        lists.COMPANIES_BY_NAME,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    ids = [company.pk for company in found.rows]
    people = dict(
        Contact.objects.filter(company__in=ids).order_by().values_list("company").annotate(number=Count("pk"))
    )
    deals = {
        row["company"]: row
        for row in Deal.objects.filter(company__in=ids)
        .order_by()
        .values("company")
        .annotate(
            open=Count("pk", filter=Q(status=Deal.Status.OPEN)),
            won=Count("pk", filter=Q(status=Deal.Status.WON)),
            won_amount=Sum("amount", filter=Q(status=Deal.Status.WON)),
        )
    }
    context = {
        "text": text,
        "page": found,
        "rows": [(company, people.get(company.pk, 0), deals.get(company.pk)) for company in found.rows],
        "count": lists.count(companies, is_everything=not text, page=found),
        "previous_link": query_link(q=text, before=found.previous) if found.previous else "",
        "next_link": query_link(q=text, after=found.next) if found.next else "",
        "first_link": query_link(q=text),
    }
    template = "leads/_company_list.html" if is_fragment(request) else "leads/company_list.html"
    return render(request, template, context)


@require("see")
@never_cache
@require_safe
def company_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Facts, people, deals and what its people did last."""
    company = get_object_or_404(Company, pk=pk)
    people = Contact.objects.filter(company=company).select_related("owner").order_by("-created_at", "-pk")
    deals = Deal.objects.filter(company=company).select_related("owner")
    ids = list(people.values_list("pk", flat=True)[:1000])
    context = {
        "company": company,
        "country": name_of(company.country),
        "custom_facts": [
            (one.label, lists.plain_text(company.custom.get(one.key)))
            for one in CustomField.objects.filter(of=CustomField.Of.COMPANY)
        ],
        "people": list(people[:COMPANY_PEOPLE]),
        "people_count": people.count(),
        "deals": list(deals.order_by(F("opened_on").desc(nulls_last=True), "-pk")[:COMPANY_DEALS]),
        "figures": deals.aggregate(
            open=Count("pk", filter=Q(status=Deal.Status.OPEN)),
            won=Count("pk", filter=Q(status=Deal.Status.WON)),
            lost=Count("pk", filter=Q(status=Deal.Status.LOST)),
            won_amount=Sum("amount", filter=Q(status=Deal.Status.WON)),
        ),
        "activities": _last_activities(ids),
        "stage_labels": stage_labels(),
    }
    return render(request, "leads/company_detail.html", context)


def _last_activities(contact_ids: list[int]) -> list[Activity]:
    """What these people did last. Two statements; one that sorts all their activities takes a second at twenty millions."""
    active, since = queries.last_active(contact_ids, limit=COMPANY_ACTIVITIES)
    if since is None:
        return []
    found = Activity.objects.filter(contact__in=active, occurred_at__gte=since)
    return list(found.select_related("kind", "asset", "contact").order_by("-occurred_at")[:COMPANY_ACTIVITIES])


@require("edit_contacts")
@require_http_methods(["GET", "HEAD", "POST"])
def company_edit(request: HttpRequest, pk: int) -> HttpResponse:
    company = get_object_or_404(Company, pk=pk)
    form = CompanyForm(posted(request), company=company)
    if request.method == "POST":
        user = cast("User", request.user)

        def change() -> None:
            actions.change_company(company, changes=form.changes(), actor=user, now=timezone.now())

        if submit(form, change):
            messages.success(request, _("Saved."))
            return redirect("leads:company-detail", company.pk)
    return render(
        request, "leads/company_form.html", {"form": form, "company": company}, status=422 if form.errors else 200
    )
