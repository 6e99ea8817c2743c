"""Ensembles: combinations of other models."""

from xray_mining.reporting.models import ModelKind

KIND = ModelKind(
    words="ensemble",
    place=40,
    colour="vermilion",
    learns_from="Ensembles combine the predictions of their members by means of validation patients, or as a plain "
    "average.",
)
