-- question: age from the image, with age and sex untangled
-- one row: one patient's latest frontal image
-- parameter: $per_cell integer = 100  patients of each sex and year of age
-- parameter: $youngest integer = 21  first year of age
-- parameter: $oldest integer = 70  last year of age
-- target: age_years number years
-- made of: age_years
-- target: patient_sex binary positive='M'
-- made of: patient_sex
-- report: reports/unfilled_cells
-- example: xray-mining cohort age_balanced --param per_cell=50 --param youngest=30
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, patient_key, patient_source, view_position, age_years, patient_sex,
        patient_sequence
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, patient_key, view_position, age_years, patient_sex, patient_sequence
    from present
    where patient_source != 'none'
),

-- step: frontal view
frontal_view as (
    select image_key, patient_key, age_years, patient_sex, patient_sequence
    from identified
    where view_position in ('PA', 'AP')
),

-- step: sex female or male, age within the range
described as (
    select image_key, patient_key, age_years, patient_sex, patient_sequence
    from frontal_view
    where
        patient_sex in ('F', 'M')
        and age_years >= $youngest
        and age_years < $oldest + 1
),

-- step: latest image of a patient
latest as (
    select image_key, patient_key, age_years, patient_sex
    from described
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
),

-- step: up to the asked number of each sex and year of age
balanced as (
    select image_key, age_years, patient_sex
    from latest
    qualify row_number() over (
        partition by patient_sex, floor(age_years)
        order by md5(patient_key::varchar)
    ) <= $per_cell
)

select image_key, age_years, patient_sex
from balanced
