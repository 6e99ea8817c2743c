-- question: how normal chests look over age and sex: images that a reader found free of findings
-- one row: one patient's latest frontal image without a finding
-- parameter: $finding text = 'no_finding'  name of the finding that says so
-- parameter: $youngest number = 18  youngest age, years
-- target: age_years number years
-- target: patient_sex binary positive='M'
-- example: xray-mining cohort normals --param finding=no_finding
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, view_position, age_years,
        patient_sex, study_day
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, study_key, patient_key, view_position, age_years, patient_sex, study_day
    from present
    where patient_source != 'none'
),

-- step: frontal view of an adult of known age and sex
described as (
    select image_key, study_key, patient_key, age_years, patient_sex, study_day
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years >= $youngest
        and patient_sex in ('F', 'M')
),

-- step: read as free of findings
free_of_findings as (
    select image_key, patient_key, age_years, patient_sex, study_day
    from described
    where
        image_key in (
            select image_key from findings
            where name = $finding and value = 1 and image_key is not null
        )
        or study_key in (
            select study_key from findings
            where
                name = $finding and value = 1
                and image_key is null and study_key is not null
        )
),

-- step: latest image of a patient
latest as (
    select image_key, age_years, patient_sex
    from free_of_findings
    qualify row_number() over (
        partition by patient_key order by study_day desc nulls last, image_key
    ) = 1
)

select image_key, age_years, patient_sex
from latest
