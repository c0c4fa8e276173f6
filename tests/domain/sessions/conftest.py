import pytest


@pytest.fixture(autouse=True)
def everything_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event leaves its job, in which `told` reads it, whether or not the house has a reaction to it."""
    monkeypatch.setattr("voltgraph.wiring.leads_on", None)
