"""Documents that clients bring along: manifests at the start of a server, folders of them on the command line."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from graphql import (
    DefinitionNode,
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    LoneAnonymousOperationRule,
    Node,
    NoUnusedFragmentsRule,
    OperationDefinitionNode,
    Source,
    SourceLocation,
    Visitor,
    get_location,
    parse,
    print_ast,
    validate,
    visit,
)
from strawberry import Schema

import schema
from gateways.graphql import BadManifest, Executor, Limits, Trusted
from gateways.graphql.documents import RULES
from gateways.graphql.limits import Refused
from gateways.graphql.manifest import written
from gateways.graphql.trusted import read
from voltgraph.settings import PREFIX, Settings, SettingsError

log = structlog.get_logger()

SUFFIXES = (".graphql", ".gql")
# A folder may have fragments for later, and that an operation has no name is told in other words.
_RULES = [rule for rule in RULES if rule not in (NoUnusedFragmentsRule, LoneAnonymousOperationRule)]


def trusted_documents(settings: Settings, graph: Schema, limits: Limits) -> Trusted | None:
    """Those of the manifests, where there are any. Raises `SettingsError` at the first that cannot be run."""
    if not settings.documents:
        return None
    trusted = Trusted(_graphql(graph), limits)
    for path in settings.documents:
        try:
            trusted.add(path.read_bytes())
        except OSError as error:
            raise SettingsError(f"{PREFIX}DOCUMENTS: {path}: {error.strerror}") from None
        except BadManifest as error:
            raise SettingsError(f"{PREFIX}DOCUMENTS: {path}: {error}") from None
    log.info("documents of manifests are ready", documents=len(trusted))
    return trusted


def check_documents(settings: Settings) -> None:
    """For whoever starts servers and is none."""
    if settings.documents:
        trusted_documents(settings, schema.build(executor=Executor), _limits(settings))


def check_folder(folder: Path, settings: Settings) -> int:
    """The exit status."""
    found = Folder(folder, _limits(settings))
    print("\n".join(found.problems or [one.told for one in found.operations]))
    return 1 if found.problems else 0


def write_manifest(folder: Path, settings: Settings, output: Path | None) -> int:
    """The exit status. Nothing is written of a folder that has mistakes."""
    found = Folder(folder, _limits(settings))
    if found.problems:
        print("\n".join(found.problems), file=sys.stderr)
        return 1
    manifest = written({one.name: (one.kind, one.text) for one in found.operations})
    if output is None:
        sys.stdout.buffer.write(manifest)
    else:
        _write(output, manifest)
        print(f"{output} has {len(found.operations)} documents")
    return 0


@dataclass(frozen=True, slots=True)
class Operation:
    """With the fragments that it needs, as clients print both."""

    name: str
    kind: str
    text: str
    cost: int
    place: str

    @property
    def told(self) -> str:
        return f"{self.place}: {self.kind} {self.name} costs {self.cost}"


class Folder:
    """Of files that may use each other's fragments: `operations` by name, or `problems`, each with its place.

    What an operation costs is told for the defaults of its variables.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.operations: list[Operation] = []
        self.problems: list[str] = []
        self._limits = limits
        self._schema = _graphql(schema.build(executor=Executor))
        document = self._document(folder)
        if not self.problems:
            self._validate(document)
        if not self.problems:
            self._measure(document)

    def _document(self, folder: Path) -> DocumentNode:
        definitions: list[DefinitionNode] = []
        for path in sorted(one for one in folder.rglob("*") if one.suffix in SUFFIXES):
            try:
                definitions += parse(Source(path.read_text("utf-8"), str(path))).definitions
            except GraphQLSyntaxError as error:
                self.problems.append(_told(error))
            except UnicodeDecodeError:
                self.problems.append(f"{path}:1:1: is not UTF-8")
            except OSError as error:
                self.problems.append(f"{path}:1:1: {error.strerror}")
        if not definitions and not self.problems:
            self.problems.append(f"{folder}: there is no document in it")
        return DocumentNode(definitions=tuple(definitions))

    def _validate(self, document: DocumentNode) -> None:
        for error in validate(self._schema, document, _RULES):
            self.problems.append(_told(error))
        for node in _operations(document):
            if node.name is None:
                self.problems.append(f"{_place(node)}: an operation needs a name")

    def _measure(self, document: DocumentNode) -> None:
        fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
        for node in _operations(document):
            needed = sorted(_needed(node, fragments))
            text = print_ast(DocumentNode(definitions=(node, *(fragments[name] for name in needed))))
            try:
                self.operations.append(self._measured(node, text))
            except Refused as error:
                self.problems += [f"{_place(node)}: {_one_line(one.message)}" for one in error.errors]
        self.operations.sort(key=lambda one: one.name)

    def _measured(self, node: OperationDefinitionNode, text: str) -> Operation:
        """Raises `Refused`."""
        operation = read(self._schema, text, self._limits).operation()
        return Operation(operation.name or "", operation.kind, text, operation.price(), _place(node))


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (one for one in document.definitions if isinstance(one, OperationDefinitionNode))


def _needed(node: Node, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """Names of the fragments that are spread in it, and in those."""
    needed: set[str] = set()
    rest = [node]
    while rest:
        new = _spread(rest.pop()) - needed
        needed |= new
        rest += [fragments[name] for name in new]
    return needed


def _spread(node: Node) -> set[str]:
    names: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            names.add(spread.name.value)

    visit(node, Spreads())
    return names


def _told(error: GraphQLError) -> str:
    places = _places(error)
    also = f" (and {', '.join(places[1:])})" if places[1:] else ""
    return f"{places[0]}: {_one_line(error.message)}{also}"


def _places(error: GraphQLError) -> list[str]:
    """Where each of its nodes stands, or where the reader stumbled."""
    if error.nodes:
        return list(dict.fromkeys(_place(node) for node in error.nodes))
    at = error.locations[0] if error.locations else SourceLocation(1, 1)
    return [f"{error.source.name if error.source else ''}:{at.line}:{at.column}"]


def _place(node: Node) -> str:
    if node.loc is None:
        raise ValueError("a node without a place is not of a file")
    at = get_location(node.loc.source, node.loc.start)
    return f"{node.loc.source.name}:{at.line}:{at.column}"


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a server may start meanwhile."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise SettingsError(f"--output: {path}: {error.strerror}") from None


def _limits(settings: Settings) -> Limits:
    return Limits(cost=settings.graphql_cost_max)


def _graphql(graph: Schema) -> GraphQLSchema:
    """Strawberry has no public name for it."""
    return graph._schema  # noqa: SLF001
