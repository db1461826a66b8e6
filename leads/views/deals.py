"""Deals and one of them."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leads import lists
from leads.access import require
from leads.models import Company, CustomField, Deal, Owner
from leads.views import is_fragment, query_link, stage_labels


@require("see")
@never_cache
@require_safe
def deal_list(request: HttpRequest) -> HttpResponse:
    """Deals, newest first, narrowed by status, owner or what they lack."""
    status = request.GET.get("status", "")
    owner = request.GET.get("owner", "")
    lacks = request.GET.get("lacks", "")
    text = request.GET.get("q", "")[:200].replace("\x00", "").strip()
    deals = Deal.objects.all()
    if status in Deal.Status.values:
        deals = deals.filter(status=status)
    if owner.isascii() and owner.isdigit():
        deals = deals.filter(owner=int(owner))
    if lacks == "company":
        deals = deals.filter(company=None)
    elif lacks == "opened_on":
        deals = deals.filter(opened_on=None)
    elif lacks == "contacts":
        deals = deals.filter(~Exists(Deal.contacts.through.objects.filter(deal=OuterRef("pk"))))
    if text:
        companies = lists.search_companies(Company.objects.all(), lists.words_of(text)).values_list("pk", flat=True)
        deals = deals.filter(
            Q(external_id__iexact=text) | Q(product__icontains=text) | Q(company__in=list(companies[:200]))
        )
    found = lists.page(
        deals.select_related("company", "owner"),
        lists.DEALS_NEWEST,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    asked = {"q": text, "status": status, "owner": owner, "lacks": lacks}
    context = {
        "asked": asked,
        "page": found,
        "count": lists.count(deals, is_everything=not any(asked.values()), page=found),
        "statuses": Deal.Status.choices,
        "owners": list(Owner.objects.values_list("pk", "name").order_by("name")),
        "previous_link": query_link(**asked, before=found.previous) if found.previous else "",
        "next_link": query_link(**asked, after=found.next) if found.next else "",
        "first_link": query_link(**asked),
    }
    template = "leads/_deal_list.html" if is_fragment(request) else "leads/deal_list.html"
    return render(request, template, context)


@require("see")
@never_cache
@require_safe
def deal_detail(request: HttpRequest, pk: int) -> HttpResponse:
    deal = get_object_or_404(Deal.objects.select_related("company", "owner"), pk=pk)
    context = {
        "deal": deal,
        "people": list(deal.contacts.select_related("company").order_by("last_name", "first_name", "pk")[:100]),
        "custom_facts": [
            (one.label, lists.plain_text(deal.custom.get(one.key)))
            for one in CustomField.objects.filter(of=CustomField.Of.DEAL)
        ],
        "stage_labels": stage_labels(),
    }
    return render(request, "leads/deal_detail.html", context)
