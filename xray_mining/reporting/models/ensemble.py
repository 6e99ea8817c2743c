"""Other models put together."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="ensemble",
    place=40,
    colour="vermilion",
    learns_from="Ensembles put members' predictions together by validation patients, or as a plain mean.",
)
