"""Pages of pictures: list with upload, one picture, the choice in the editor, and the public address that mails ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from leads.access import demand, require
from nurture import access, actions
from nurture.forms.images import ImageForm, ImagesForm
from nurture.models import Image
from nurture.templating import image_addresses, image_files, images
from nurture.views.programs import actor

PAGE = 48
MOST_FILES = 20  # of one upload
FOR_EVER = "public, max-age=31536000, immutable"  # an address never gets other content
FILE_POLICY = "default-src 'none'; sandbox"


@require("see")
@require_GET
def image_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by keyset. One statement."""
    return render(request, "nurture/image_list.html", _page(request) | {"form": ImagesForm()})


@require("edit_rules")
@require_GET
def image_choice(request: HttpRequest) -> HttpResponse:
    """The pictures that the editor of templates offers. One statement."""
    return render(request, "nurture/_image_choice.html", _page(request))


def _page(request: HttpRequest) -> dict[str, object]:
    words = request.GET.get("q", "").strip()[:200]
    page = list(_found(words, request.GET.get("after", ""))[: PAGE + 1])
    return {"images": page[:PAGE], "q": words, "next": page[PAGE - 1].pk if len(page) > PAGE else ""}


def _found(words: str, after: str) -> QuerySet[Image]:
    found = Image.objects.order_by("-id")
    if after.isdecimal() and len(after) < 19:
        found = found.filter(pk__lt=int(after))
    for word in words.split():
        found = found.filter(Q(name__icontains=word) | Q(alt__icontains=word))
    return found


@dataclass
class Received:
    """What became of an upload."""

    new: list[Image]
    known: list[Image]
    remarks: list[str]
    problems: list[str]


@require("edit_rules")
@require_POST
def image_upload(request: HttpRequest) -> HttpResponse:
    """Several files; the good ones are kept, each other one says what would fit. From the editor the choice comes back."""
    found = _received(request)
    if request.headers.get("HX-Request"):
        fresh = [*found.new, *found.known]
        rest = Image.objects.order_by("-id").exclude(pk__in=[image.pk for image in fresh])[: PAGE - len(fresh)]
        context = {"images": [*fresh, *rest], "problems": found.problems, "remarks": found.remarks}
        return render(request, "nurture/_image_choice.html", context, status=422 if found.problems else 200)
    for words in found.problems:
        messages.error(request, words)
    if found.known:
        messages.info(
            request, _("Already here: %(names)s.") % {"names": ", ".join(image.name for image in found.known)}
        )
    if found.new:
        said = ngettext("%(n)d image is kept.", "%(n)d images are kept.", len(found.new)) % {"n": len(found.new)}
        messages.success(request, " ".join([said, *found.remarks]))
    if len(found.new) == 1 and not found.problems:
        return redirect("nurture:image-detail", found.new[0].pk)
    return redirect("nurture:image-list")


def _received(request: HttpRequest) -> Received:
    found = Received([], [], [], [])
    files = request.FILES.getlist("uploads")
    if not files:
        found.problems.append(_("Choose a file first."))
    if len(files) > MOST_FILES:
        found.problems.append(_("%(most)d files fit at once; the others were left out.") % {"most": MOST_FILES})
    for upload in files[:MOST_FILES]:
        _receive(request, upload, found)
    return found


def _receive(request: HttpRequest, upload: UploadedFile[bytes], found: Received) -> None:
    name = (upload.name or "")[:300]
    try:
        image, is_new, remarks = images.store(
            cast("IO[bytes]", upload.file), size=upload.size or 0, name=name, actor=actor(request), now=timezone.now()
        )
    except image_files.BadImage as error:
        found.problems.append(_("%(file)s: %(problem)s") % {"file": name, "problem": error})
        return
    (found.new if is_new else found.known).append(image)
    if is_new and remarks:
        found.remarks.append(_("%(name)s: %(remarks)s.") % {"name": image.name, "remarks": "; ".join(remarks)})


@require("see")
@require_http_methods(["GET", "POST"])
def image_detail(request: HttpRequest, pk: int) -> HttpResponse:
    image = access.image_or_404(pk)
    form = ImageForm(request.POST or None, instance=image)
    if request.method == "POST":
        demand(request.user, "edit_rules")
        if form.is_valid():
            images.describe(
                access.image_or_404(pk),
                name=form.cleaned_data["name"],
                alt=form.cleaned_data["alt"],
                actor=actor(request),
                now=timezone.now(),
            )
            messages.success(request, _("Saved."))
            return redirect("nurture:image-detail", pk)
    context = {
        "image": access.image_or_404(pk) if form.is_bound else image,
        "form": form,
        "users": images.templates_with(image),
        "full_address": image_addresses.full_address(image),
        "is_lost": not images.path_of(image).exists(),
    }
    return render(request, "nurture/image_detail.html", context, status=422 if form.errors else 200)


@require("edit_rules")
@require_POST
def image_delete(request: HttpRequest, pk: int) -> HttpResponse:
    image = access.image_or_404(pk)
    try:
        images.delete(image, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:image-detail", pk)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": image.name})
    return redirect("nurture:image-list")


@login_not_required
@require_safe
def image_file(request: HttpRequest, token: str, kind: str) -> HttpResponse:
    """What a mail shows, for whoever knows the address. One statement; the type comes from our table, never from the upload."""
    image = access.image_by_token_or_404(token, kind)
    try:
        data = images.path_of(image).read_bytes()  # 5 MB at most
    except FileNotFoundError as error:
        raise Http404 from error
    response = HttpResponse(data, content_type=image_files.CONTENT_TYPES[image.kind])
    response["Content-Length"] = len(data)
    response["Content-Disposition"] = f'inline; filename="image.{image.kind}"'
    response["Cache-Control"] = FOR_EVER
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"  # mail readers in a browser show it on their own pages
    response["Content-Security-Policy"] = FILE_POLICY
    response._csp_exempt = True  # type: ignore[attr-defined]  # django-csp would replace the policy with the pages' own
    return response
