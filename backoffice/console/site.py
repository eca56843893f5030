"""The admin site the company runs on."""

from unfold.sites import UnfoldAdminSite


class Console(UnfoldAdminSite):
    site_header = site_title = "Nexus Back Office"
    index_title = "Home"
