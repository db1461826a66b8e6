"""What the company's websites ask for: `/w/ripen.js` is the script, the rest its doors."""

from django.urls import path

from nurture.views import website

app_name = "website"

urlpatterns = [
    path("ripen.js", website.script, name="script"),
    path("visit", website.visit, name="visit"),
    path("ask", website.ask, name="ask"),
]
