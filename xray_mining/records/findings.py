"""findings: labels, scores and outcomes from adapters and linked tables, and the phantom's truth."""

from xray_mining.records.record import Record, count, key, number, text


class Findings(Record):
    """Long format: one row per named finding of a radiograph, study or patient."""

    table = "findings"
    question = "one named finding of a radiograph (if image_key is null, of a study or patient)"

    image_key = key("the radiograph", nullable=True)
    study_key = key("the study", nullable=True)
    patient_key = key("the patient")
    name = text("name of the finding, in snake case")
    value = number("the value; for a label 1 present, 0 absent, -1 uncertain, null unknown")
    label = text("the group's text, if the finding is a group", nullable=True)
    unit = text("unit of the value; empty without unit")
    study_day = count("day of the finding, shifted like the patient's studies", "days", nullable=True, min=None)
    source = text("where it comes from: adapter name, link name, 'phantom_truth'")
    source_version = text("version or release of the source")
