"""near_duplicates: pairs of radiographs that show the same exposure, processed differently."""

from xray_mining.records.record import Record, count, key, number


class NearDuplicates(Record):
    """Candidate pairs are found by perceptual hash and confirmed by correlation."""

    table = "near_duplicates"
    question = "one pair of kept radiographs that show the same exposure"

    image_key_a = key("the lower key", primary_key=True)
    image_key_b = key("the higher key", primary_key=True)
    distance = count("differing bits, of 192, between the hash of one picture and that of a crop of the other", "bits")
    correlation = number("Pearson correlation of the aligned pictures", nullable=False, min=-1, max=1)
