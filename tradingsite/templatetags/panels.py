"""``{% panel "name" %}``: a page's panel, or word that it could not be made."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from tradingsite.live.panels import panel_html

register = template.Library()


@register.simple_tag(takes_context=True)
def panel(context: Context, name: str) -> SafeString:
    """Show the panel that the view has put into ``panels``, as live updates will show it."""
    return panel_html(name, context["panels"][name])
