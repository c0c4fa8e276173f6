"""What the commands have that are clients: GraphQL, its subscriptions and files, by the doors that everybody has."""

import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from voltgraph.seed import demo_credential_path
from voltgraph.settings import Settings

_PATIENCE_S = 600.0  # a server that is busy takes no more of a file for a while
_PART_BYTES = 65_536


class ClientError(Exception):
    """One line for the terminal."""


class HungUp(ClientError):
    """The server, perhaps on what it will not read."""


def graphql_address(settings: Settings, url: str | None) -> str:
    return url or f"http://{settings.host}:{settings.port}/graphql"


def secret_or_demos(settings: Settings, secret: str | None) -> str:
    path = demo_credential_path(settings.data_dir)
    if secret:
        return secret
    if not path.exists():
        raise ClientError("give --credential or set VOLTGRAPH_CREDENTIAL (`make run` makes one of its own)")
    return path.read_text().strip()


async def subscribed(address: str, secret: str, query: str, **variables: Any) -> AsyncGenerator[dict[str, Any]]:
    """The data of each item (graphql-transport-ws)."""
    address = address.replace("http", "ws", 1)
    try:
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], max_size=None) as socket:
            await _send(socket, type="connection_init", payload={"Authorization": f"Bearer {secret}"})
            while True:
                message = orjson.loads(await socket.recv())
                match message["type"]:
                    case "connection_ack":
                        await _send(socket, id="1", type="subscribe", payload={"query": query, "variables": variables})
                    case "ping":
                        await _send(socket, type="pong")
                    case "next":
                        for error in message["payload"].get("errors") or []:
                            raise ClientError(error["message"])
                        yield message["payload"]["data"]
                    case "error":
                        raise ClientError("; ".join(error["message"] for error in message["payload"]))
                    case "complete":
                        return
    except InvalidStatus as error:
        raise ClientError(f"{address} answers {error.response.status_code}") from None
    except ConnectionClosed as error:
        raise ClientError(f"the server closed the connection: {error}") from None
    except OSError as error:
        raise _unreachable(address, error) from None


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


@dataclass(frozen=True, slots=True)
class Client:
    """Over HTTP; `address` is GraphQL's, beside which the files are."""

    address: str
    secret: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = orjson.dumps({"query": query, "variables": variables})
        with self._answered("POST", "", body, {"Content-Type": "application/json"}) as response:
            answer = _json(response)
        if answer.get("errors"):
            raise ClientError(_why(answer, response))
        return dict(answer["data"])

    def upload(self, path: str, file: BinaryIO, *, size_bytes: int | None) -> dict[str, Any] | None:
        """What is answered; None where the server hung up before it had the whole file."""
        headers = {"Content-Type": "text/csv"} | ({} if size_bytes is None else {"Content-Length": str(size_bytes)})
        try:
            with self._answered("PUT", path, file, headers) as response:
                return _json(response)
        except HungUp:
            return None

    def download(self, path: str, query: Sequence[tuple[str, str]], *, packed: bool) -> Iterator[bytes]:
        """Raises `ClientError` also where the end is missing."""
        with self._answered("GET", f"{path}?{urlencode(query)}", None, {"Accept-Encoding": "gzip"}) as response:
            if response.status != HTTPStatus.OK:
                raise ClientError(_why(_json(response), response))
            unpacking = None
            if response.headers.get("Content-Encoding") == "gzip" and not packed:
                unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while part := response.read(_PART_BYTES):
                yield part if unpacking is None else unpacking.decompress(part)

    @contextmanager
    def _answered(
        self, method: str, path: str, body: bytes | BinaryIO | None, headers: Mapping[str, str]
    ) -> Iterator[HTTPResponse]:
        asked = urlsplit(self.address)
        if asked.scheme not in ("http", "https") or not asked.hostname:
            raise ClientError(f"{self.address} is no address of GraphQL, such as http://127.0.0.1:8000/graphql")
        of = HTTPSConnection if asked.scheme == "https" else HTTPConnection
        connection = of(asked.hostname, asked.port, timeout=_PATIENCE_S)
        connection.blocksize = _PART_BYTES
        target = asked.path.removesuffix("/graphql") + path if path else asked.path
        try:
            connection.request(
                method,
                target,
                body,
                {"Authorization": f"Bearer {self.secret}", **headers},
                encode_chunked=body is not None and not isinstance(body, bytes) and "Content-Length" not in headers,
            )
            yield connection.getresponse()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise HungUp(f"the server hung up: {error}") from None
        except HTTPException as error:
            raise ClientError(f"the server broke off: {error!r}") from None
        except OSError as error:
            raise _unreachable(self.address, error) from None
        finally:
            connection.close()


def _json(response: HTTPResponse) -> dict[str, Any]:
    try:
        return dict(orjson.loads(response.read()))
    except (orjson.JSONDecodeError, ValueError):
        raise ClientError(f"the server answers {response.status} {response.reason}") from None


def _why(answer: Mapping[str, Any], response: HTTPResponse) -> str:
    problems = [str(error["message"]) for error in answer.get("errors") or []]
    return "; ".join(problems) or f"the server answers {response.status} {response.reason}"


def _unreachable(address: str, error: OSError) -> ClientError:
    return ClientError(f"{address} cannot be reached: {error}. Is `make run` up?")
