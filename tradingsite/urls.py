"""Addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, path

from tradingsite import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.overview, name="overview"),
    path("portfolio/", views.portfolio, name="portfolio"),
    path("decisions/<int:pk>/", views.decision, name="decision"),
    path("bot/", views.bot, name="bot"),
    path("bot/setups/<int:pk>/", views.setup, name="setup"),
    path("bot/pause/", views.bot_pause, name="bot_pause"),
    path("bot/resume/", views.bot_resume, name="bot_resume"),
    path("panels/", views.panels, name="panels"),
    path("trading/pause/", views.pause, name="pause"),
    path("trading/resume/", views.resume, name="resume"),
    path("trading/kill/", views.kill, name="kill"),
    path("kill/", views.kill_page, name="kill_page"),
    path("rearm/", views.rearm, name="rearm"),
    path("alerts/", views.alerts_page, name="alerts"),
    path("alerts/test/", views.alert_test, name="alert_test"),
    path("alerts/<int:pk>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("healthz", views.healthz, name="healthz"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
