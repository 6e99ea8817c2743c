"""Networks that the study trains."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="network",
    place=30,
    colour="blue",
    first_is_shown=True,
    learns_from="Networks learn from training patients only; validation patients say when to stop.",
    limits="a network was stopped at the epoch that was best on validation patients, who then had a say in which model "
    "is called best: the choice leans to networks, the test figures do not.",
)
