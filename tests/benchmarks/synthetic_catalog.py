"""Parts of an archive of any size, without pixels: several images a patient, sites, makers, missing and wrong values.

python tests/benchmarks/synthetic_catalog.py FOLDER IMAGES
"""

import sys
from pathlib import Path

import duckdb

from xray_mining.workspace import ArchiveSettings, Workspace

SHARD_IMAGES = 20_000
IMAGES_PER_PATIENT = 5
DUPLICATE_EVERY = 97
NEAR_DUPLICATE_EVERY = 1013

# chance(number, word) is uniform in [0, 1): the same on every machine, so the same catalog comes out
_MACROS = """
create macro chance(number, word) as md5_number_upper(word || number) / 18446744073709551616.0;
create macro key_of(number, word) as md5(word || number)::uuid::varchar;
create macro patient_of(number, patients) as floor(patients * power(chance(number, 'patient'), 1.5))::bigint;
"""

_IMAGES = """
copy (
    with numbered as (
        select range as number, patient_of(range, $patients) as patient from range($first, $last)
    ),
    dated as (
        select
            *,
            15 + 80 * chance(patient, 'age') + 4 * chance(number, 'later') as true_age,
            floor(36500 + 8000 * chance(number, 'day'))::bigint as day,
            if(number % {duplicate} = 1 and number > 1, number - 1, number) as shown,
            floor(12 * power(chance(patient, 'site'), 2))::bigint as site
        from numbered
    )
    select
        key_of(number, 'image') as image_key,
        key_of(patient || ':' || (number % 3), 'study') as study_key,
        key_of(number, 'series') as series_key,
        key_of(patient, 'patient') as patient_key,
        if(chance(number, 'id') < 0.002, 'none', 'declared') as patient_source,
        'synthetic' as archive,
        'synthetic' as domain,
        if(chance(number, 'institution') < 0.05, null, key_of(site, 'institution')) as institution_key,
        key_of(number, 'file') as file_key,
        0::bigint as frame,
        $shard::bigint as shard,
        (number - $first)::bigint as position,
        key_of(shown, 'pixels') as pixel_digest,
        md5_number_lower('hash' || shown)::ubigint as perceptual_hash,
        if(chance(number, 'no age') < 0.03, null, least(true_age, 90.0))::double as age_years,
        if(chance(number, 'no age') < 0.03, 'none', 'dates') as age_source,
        if(chance(number, 'odd age') < 0.0005, '411Y', null) as age_raw,
        (chance(number, 'no age') >= 0.03 and true_age >= 90) as age_topcoded,
        case
            when chance(number, 'no sex') < 0.02 then null
            when chance(patient, 'sex') < 0.001 then 'O'
            when chance(patient, 'sex') < 0.54 then 'M'
            else 'F'
        end as patient_sex,
        case
            when chance(number, 'view') < 0.42 then 'PA'
            when chance(number, 'view') < 0.72 then 'AP'
            when chance(number, 'view') < 0.93 then 'LATERAL'
            when chance(number, 'view') < 0.94 then 'OTHER'
        end as view_position,
        if(chance(number, 'view') < 0.94, 'declared', 'none') as view_source,
        null::varchar as laterality,
        if(chance(number, 'modality') < 0.6, 'DX', 'CR') as modality,
        'CHEST' as body_part_examined,
        list_extract(['Siemens', 'Philips', 'GE', 'Fujifilm', 'Agfa', 'Canon', 'other'], 1 + site % 7) as manufacturer,
        'Model ' || (site % 11) as manufacturer_model_name,
        (1900 + day // 365)::bigint as study_year,
        day as study_day,
        list_extract([2048, 2500, 3056, 1024], 1 + site % 4)::bigint as rows,
        list_extract([2048, 2048, 2544, 1024], 1 + site % 4)::bigint as columns,
        list_extract([10, 12, 12, 14], 1 + site % 4)::bigint as bits_stored,
        if(site % 3 = 0, 'MONOCHROME1', 'MONOCHROME2') as photometric_interpretation,
        '1.2.840.10008.1.2.1' as transfer_syntax_uid,
        if(chance(number, 'spacing') < 0.1, null, 0.14 + 0.01 * (site % 4))::double as pixel_spacing_mm,
        if(chance(number, 'spacing') < 0.1, null, 'imager_pixel_spacing') as pixel_spacing_source,
        'no' as burned_in_text,
        case
            when chance(number, 'flag') < 0.002 then ['blank']
            when chance(number, 'flag') < 0.010 then ['saturated', 'border']
            else []::varchar[]
        end as quality_flags,
        null::varchar as licence
    from dated
    order by number
) to '{target}' (format parquet, compression zstd)
"""

_FINDINGS = """
copy (
    select
        key_of(range, 'image') as image_key,
        key_of(patient_of(range, $patients) || ':' || (range % 3), 'study') as study_key,
        key_of(patient_of(range, $patients), 'patient') as patient_key,
        if(chance(range, 'no finding') < 0.5, 'no_finding', 'effusion') as name,
        1.0::double as value,
        null::varchar as label,
        '' as unit,
        null::bigint as study_day,
        'synthetic' as source,
        '1' as source_version
    from range($first, $last)
) to '{target}' (format parquet, compression zstd)
"""

_NEAR = """
copy (
    select
        least(key_of(range, 'image'), key_of(range + 7, 'image')) as image_key_a,
        greatest(key_of(range, 'image'), key_of(range + 7, 'image')) as image_key_b,
        2::bigint as distance,
        0.99::double as correlation
    from range(0, $images - 7, $every)
) to '{target}' (format parquet, compression zstd)
"""


def write_catalog(folder: Path, images: int) -> Workspace:
    """A workspace in `folder` with the parts of `images` images in it."""
    workspace = Workspace.create(folder)
    archives = {"synthetic": ArchiveSettings(domain="synthetic", adapter="synthetic", order=0)}
    workspace.save(workspace.settings.model_copy(update={"archives": archives}))
    patients = max(images // IMAGES_PER_PATIENT, 1)
    with duckdb.connect() as con:
        con.execute(_MACROS)
        for shard, first in enumerate(range(0, images, SHARD_IMAGES)):
            bounds = {"first": first, "last": min(first + SHARD_IMAGES, images), "patients": patients}
            for table, text in (("images", _IMAGES), ("findings", _FINDINGS)):
                target = workspace.parts("synthetic", table) / f"{shard:05d}.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                values = bounds | ({"shard": shard} if table == "images" else {})
                con.execute(text.format(target=target, duplicate=DUPLICATE_EVERY), values)
        target = workspace.parts("_all", "near_duplicates") / "00000.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        con.execute(_NEAR.format(target=target), {"images": images, "every": NEAR_DUPLICATE_EVERY})
    return workspace


if __name__ == "__main__":
    write_catalog(Path(sys.argv[1]), int(sys.argv[2]))
