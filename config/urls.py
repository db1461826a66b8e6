"""Every address of the product: each room under its own prefix, sign-in and health beside them."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path, reverse_lazy

from config import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("", views.home, name="home"),
    path("search/", views.search, name="search"),
    path("theme/", views.theme, name="theme"),
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        auth_views.PasswordChangeView.as_view(success_url=reverse_lazy("home")),
        name="password_change",
    ),
    path("", include("leads.urls")),
    path("segments/", include("segments.urls")),
    path("scoring/", include("scoring.urls")),
    path("programs/", include("nurture.urls")),
    path("e/", include("nurture.urls_tracked")),
    path("w/", include("nurture.urls_website")),
    path("i/", include("nurture.urls_images")),
]
