"""vector_sets: measured sets (numbers per radiograph), one folder each; the catalog lists the sets, not their rows."""

import dataframely as dy

from xray_mining.records.record import Record, count, text


class FeatureSets(Record):
    """Read from KIND/SET/set.json."""

    table = "vector_sets"
    home = "results"
    question = (
        "one set of handcrafted features or embeddings; its numbers stay in the set's own files, keyed by image_key"
    )

    set = text(
        "name of the set: NAME-DIGEST of its options, store, inputs, code and versions of packages", primary_key=True
    )
    kind = text("kind of its instrument: 'features', 'embeddings', …")
    store = text("the pixel store it was computed from")
    mask_set = text("the mask set it uses; empty if it uses none")
    columns_ = dy.List(dy.String(), alias="columns", description="names of its numbers")
    units = dy.List(dy.String(), description="their units")
    images = count("radiographs it holds")
    failed = count("radiographs that could not be measured; 0 in sets of earlier versions")
    options = text("JSON of its options")
