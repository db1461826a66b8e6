"""Public addresses of pictures: `/i/<name nobody guesses>.png`."""

from django.urls import re_path

from nurture.views import images

app_name = "images"

urlpatterns = [
    re_path(r"^(?P<token>[A-Za-z0-9_-]{22})\.(?P<kind>png|jpg|gif)$", images.image_file, name="file"),
]
