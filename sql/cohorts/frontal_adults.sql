-- question: every frontal radiograph of an adult with a known age
-- one row: one frontal image
-- parameter: $youngest number = 18  youngest age, years
-- target: age_years number years
-- made of: age_years
-- example: xray-mining cohort frontal_adults --param youngest=21
with
-- step: files that are there, one of each exposure
present as (
    select image_key, patient_source, view_position, age_years
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, view_position, age_years
    from present
    where patient_source != 'none'
),

-- step: frontal view
frontal_view as (
    select image_key, age_years
    from identified
    where view_position in ('PA', 'AP')
),

-- step: adults of known age
adults as (
    select image_key, age_years
    from frontal_view
    where age_years >= $youngest
)

select image_key, age_years
from adults
