from domain import credentials, users
from domain.actor import Actor
from resolvers.context import Info


async def me(info: Info) -> Actor:
    return info.context.caller


async def my_credential(root: Actor, info: Info) -> credentials.Credential | None:
    """The credential that was shown; None for whoever came in by another door."""
    return None if root.id is None else await info.context.loaders.credential.load(root.id)


async def my_user(root: Actor, info: Info) -> users.User | None:
    credential = await my_credential(root, info)
    if credential is None or credential.user_id is None:
        return None
    return await info.context.loaders.user.load(credential.user_id)
