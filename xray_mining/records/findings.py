"""findings: labels, scores, outcomes, linked tables and the phantom's truth."""

from xray_mining.records.record import Record, count, key, number, text


class Findings(Record):
    """Long: one row a named finding of a radiograph, study or patient."""

    table = "findings"
    question = "one named finding of a radiograph (or, where image_key is null, of a study or patient)"

    image_key = key("the radiograph", nullable=True)
    study_key = key("the study", nullable=True)
    patient_key = key("the patient")
    name = text("name of the finding, in snake case")
    value = number("the value; for a label 1 present, 0 absent, -1 uncertain, null unknown")
    label = text("text of a group, where the finding is one", nullable=True)
    unit = text("unit of the value; empty where it has none")
    study_day = count("day of the finding, shifted like the patient's studies", "days", nullable=True, min=None)
    source = text("who says so: adapter name, link name, 'phantom_truth'")
    source_version = text("version or release of the source")
