"""Whoever has a credential of the server's, or none."""

import json
from typing import Any

import httpx2

from tests.journeys.servers import GUARD_S


class Owner:
    def __init__(self, url: str, secret: str | None) -> None:
        self.url = url
        self.headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        self.http = httpx2.Client(headers=self.headers, timeout=GUARD_S)

    def post(self, query: str, variables: Any = None) -> httpx2.Response:
        body = json.dumps({"query": query, "variables": variables})  # in ASCII: halves of surrogates go out as they are
        return self.http.post(self.url, content=body, headers={"Content-Type": "application/json"})

    def ask(self, query: str, **variables: Any) -> Any:
        """The one field's value where there is one; an error fails the test."""
        answer = self.post(query, variables).json()
        assert "errors" not in answer, answer
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data
