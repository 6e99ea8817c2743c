"""One of two or more labels without an order."""

from xray_mining.models.targets._classes import Classes


class Group(Classes):
    """Probabilities of all classes, with separate rows for each class."""

    loss = "cross_entropy"
    heads: tuple[str, ...] = ("group",)


KIND = Group()
