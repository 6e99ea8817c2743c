-- question: how normal chests look over age and sex: images that a reader found free of findings
-- one row: one patient's latest frontal image without a finding
-- note: every source that speaks of it must say so, and no other finding may be present or in doubt
-- parameter: $finding text = 'no_finding'  name of the finding that says so
-- parameter: $aside texts = support_devices  findings, with commas, that a normal chest may have
-- parameter: $youngest number = 18  youngest age, years
-- target: age_years number years
-- made of: age_years
-- target: patient_sex binary positive='M'
-- made of: patient_sex
-- example: xray-mining cohort normals --param finding=no_finding
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, view_position, age_years,
        patient_sex, patient_sequence
    from eligible
),

-- step: with a patient id
identified as (
    select
        image_key, study_key, patient_key, view_position, age_years, patient_sex, patient_sequence
    from present
    where patient_source != 'none'
),

-- step: frontal view of an adult of known age and sex
described as (
    select image_key, study_key, patient_key, age_years, patient_sex, patient_sequence
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years >= $youngest
        and patient_sex in ('F', 'M')
),

-- step: read as free of findings, by an image's own labels or else by its study's
free_of_findings as (
    with
    -- what is only ever present, absent or in doubt: the 1 of a measure says nothing
    labels as (
        select name
        from findings
        where value is not null
        group by name
        having min(value) >= -1 and max(value) <= 1 and bool_and(value = round(value))
    ),

    said as (
        select
            image_key,
            study_key,
            name = $finding and value = 1 as is_free
        from findings
        where
            (name = $finding and value is not null)
            or (
                value != 0
                and name in (select labels.name from labels)
                and name not in (select unnest($aside))
            )
    ),

    by_image as (
        select image_key, bool_and(is_free) as is_free
        from said
        where image_key is not null
        group by image_key
    ),

    by_study as (
        select study_key, bool_and(is_free) as is_free
        from said
        where image_key is null and study_key is not null
        group by study_key
    )

    select
        described.image_key,
        described.patient_key,
        described.age_years,
        described.patient_sex,
        described.patient_sequence
    from described
    left join by_image on described.image_key = by_image.image_key
    left join by_study on described.study_key = by_study.study_key
    where coalesce(by_image.is_free, by_study.is_free)
),

-- step: latest image of a patient
latest as (
    select image_key, age_years, patient_sex
    from free_of_findings
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
)

select image_key, age_years, patient_sex
from latest
