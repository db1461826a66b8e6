"""Every address of the product: each room under its own prefix, sign-in and health beside them."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from config import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("login/", auth_views.LoginView.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("", include("leads.urls")),
    path("segments/", include("segments.urls")),
    path("scoring/", include("scoring.urls")),
    path("programs/", include("nurture.urls")),
]
