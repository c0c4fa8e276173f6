"""Everything about the GraphQL engine, beside stock Strawberry on the same schema."""

from bench import graphql_execution, graphql_http, graphql_refusals
from bench.rows import Row, table


def run() -> list[Row]:
    return [*graphql_http.run(), *graphql_execution.run(), *graphql_refusals.run()]


if __name__ == "__main__":
    print(table(run()))
