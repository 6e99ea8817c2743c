"""Networks that the study trains."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="network",
    place=30,
    colour="blue",
    first_is_shown=True,
    learns_from="Networks learn from training patients only; validation patients decide when training stops.",
    limits="training of a network stopped at the epoch that was best on validation patients, and the best model was "
    "chosen on the same patients. This favours networks in the choice, but not in the test figures.",
)
