from tests.gateways.redis.conftest import valkey

__all__ = ["valkey"]
