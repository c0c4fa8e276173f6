import strawberry


@strawberry.type(description="An amount of money.")
class Money:
    amount: str = strawberry.field(description="A decimal, such as 5.40.")
    currency: str = strawberry.field(description="ISO 4217, such as EUR.")
