"""features and embeddings: numbers per radiograph, one table a set; the catalog knows their sets, not their rows."""

import dataframely as dy

from xray_mining.records.record import Record, count, text


class FeatureSets(Record):
    """What the catalog knows of the sets: features/SET/set.json, embeddings/SET/set.json."""

    table = "vector_sets"
    home = "results"
    question = "one set of handcrafted features or embeddings; its rows stay in Parquet, keyed by image_key"

    set = text("name of the set: NAME-DIGEST of its options, store and mask set", primary_key=True)
    kind = text("'features' or 'embeddings'")
    store = text("the pixel store it was computed from")
    mask_set = text("the mask set it needs; empty where it needs none")
    columns_ = dy.List(dy.String(), alias="columns", description="names of its numbers")
    units = dy.List(dy.String(), description="their units")
    images = count("radiographs it holds")
    options = text("JSON of its options")
