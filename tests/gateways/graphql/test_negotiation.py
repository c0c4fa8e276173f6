"""Accept and Content-Type, as RFC 9110 and GraphQL over HTTP read them."""

import pytest

from gateways.graphql.negotiation import Medium, is_json, negotiate

JSON, GRAPHQL_RESPONSE, HTML, EVENTS = Medium.JSON, Medium.GRAPHQL_RESPONSE, Medium.HTML, Medium.EVENTS


@pytest.mark.parametrize(
    ("accept", "medium"),
    [
        (None, JSON),
        (b"*/*", JSON),
        (b"application/*", JSON),
        (b"application/json", JSON),
        (b"APPLICATION/JSON; Charset=UTF-8", JSON),
        (b"application/graphql-response+json", GRAPHQL_RESPONSE),
        (b"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_RESPONSE),
        (b"application/json, application/graphql-response+json", JSON),
        (b"application/json;q=0.9, application/graphql-response+json", GRAPHQL_RESPONSE),
        (b"application/graphql-response+json;q=0.5,application/json;q=0.6", JSON),
        (b"*/*, application/graphql-response+json", GRAPHQL_RESPONSE),
        (b"application/graphql-response+json;q=0.2, */*;q=0.1", GRAPHQL_RESPONSE),
        (b"application/graphql-response+json;q=0.1, */*;q=0.2", JSON),
        (b"application/json;q=0, */*", GRAPHQL_RESPONSE),
        (b"application/json;q=0.1, application/*", GRAPHQL_RESPONSE),
        (b"text/event-stream", EVENTS),
        (b"text/*", EVENTS),
        (b"multipart/mixed;subscriptionSpec=1.0, application/json", JSON),
        (b"application/graphql-response+json, application/json, text/event-stream, multipart/mixed", GRAPHQL_RESPONSE),
        (b"image/png, ,application/json", JSON),
        (b"application/json;q=5, text/event-stream;q=0.1", EVENTS),
        (b"application/json;q=nan, application/graphql-response+json;q=0.1", GRAPHQL_RESPONSE),
        (b"application/json ; q=1.000", JSON),
        (b"x/y, " * 99 + b"application/json", JSON),
    ],
)
def test_the_client_chooses(accept: bytes | None, medium: Medium) -> None:
    assert negotiate(accept, page=False) is medium


@pytest.mark.parametrize(
    "accept", [b"", b"image/png", b"text/html", b"application/json;q=0", b"*/*;q=0", b"json", b"*"]
)
def test_who_takes_nothing_of_ours_is_told_so(accept: bytes) -> None:
    assert negotiate(accept, page=False) is None


@pytest.mark.parametrize(
    ("accept", "medium"),
    [
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", HTML),
        (b"application/json, text/html;q=0.5", JSON),
        (b"*/*", JSON),
        (b"text/event-stream", EVENTS),
    ],
)
def test_a_page_is_for_those_who_would_rather_have_it(accept: bytes, medium: Medium) -> None:
    assert negotiate(accept, page=True) is medium


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        (b"application/json", True),
        (b"Application/JSON", True),
        (b"application/json; charset=utf-8", True),
        (b'application/json;charset="UTF-8"', True),
        (b"application/json; profile=x", True),
        (b"application/json; charset=latin-1", False),
        (b"application/json, text/plain", False),
        (b"text/plain", False),
        (b"text/plain; application/json", False),
        (b"application/jsonp", False),
        (b"application/graphql", False),
        (b"", False),
        (None, False),
    ],
)
def test_a_body_is_json_in_utf_8_by_its_content_type(content_type: bytes | None, taken: bool) -> None:
    assert is_json(content_type) is taken
