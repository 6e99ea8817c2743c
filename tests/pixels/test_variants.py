"""Changed pictures: the same anatomy in another window or sharpened, the padding untouched."""

import numpy as np
import pytest

from xray_mining.pixels.variants import VARIANTS, changed


def pictures(value_type: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    full = np.iinfo(value_type).max
    values = np.zeros((3, 40, 40))
    values[:, :, 5:35] = 0.3 + 0.4 * rng.random((3, 40, 30))
    return (values * full).astype(value_type), np.tile([5.0, 0.0, 30.0, 40.0], (3, 1))


@pytest.mark.parametrize("value_type", ["uint8", "uint16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_changes_the_picture_and_not_its_padding(variant, value_type):
    values, boxes = pictures(value_type)
    kept = values.copy()
    found = changed(values, boxes, variant)
    assert found.dtype == values.dtype and found.shape == values.shape
    assert (values == kept).all(), "the store's own pictures were changed"
    assert (found[:, :, :5] == 0).all() and (found[:, :, 35:] == 0).all()
    assert found[:, :, 5:35].astype(float).std() > 1.05 * values[:, :, 5:35].astype(float).std()
    # Neither is another exposure: the mean grey stays where it is.
    assert found.mean() == pytest.approx(values.mean(), rel=0.03)


def test_no_variant_is_no_change():
    values, boxes = pictures("uint8")
    assert changed(values, boxes, "") is values
