"""Somebody with a browser: logged in as the demo's administrator, forms posted with their token."""

from __future__ import annotations

import requests

from tests.processes.running_desk import RunningDesk


class Visitor:
    """One browser."""

    def __init__(self, desk: RunningDesk) -> None:
        self._desk = desk
        self._browser = requests.Session()
        self.get("login/")
        answer = self.post("login/", username="admin", password=desk.password)
        assert answer.status_code == 200, answer.text
        assert "sessionid" in self._browser.cookies, "the login was refused"

    def get(self, path: str) -> requests.Response:
        return self._browser.get(f"{self._desk.address}/{path}", timeout=10)

    def post(self, path: str, **fields: str) -> requests.Response:
        """Post a form as the page last fetched would."""
        token = {"csrfmiddlewaretoken": self._browser.cookies["csrftoken"]}
        return self._browser.post(f"{self._desk.address}/{path}", data=fields | token, timeout=30)
