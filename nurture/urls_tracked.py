"""Short addresses in mails: `/e/<code>` leads on, `/e/<code>.gif` is a pixel."""

from django.urls import path

from nurture.views import tracked

app_name = "tracked"

urlpatterns = [
    path("<str:code>.gif", tracked.pixel, name="pixel"),
    path("<str:code>", tracked.follow, name="follow"),
]
