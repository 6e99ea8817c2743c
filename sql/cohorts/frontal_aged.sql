-- question: every image whose patient's age and sex are known, several of a patient welcome
-- one row: one image that is not declared lateral
-- target: age_years number years
-- made of: age_years
-- target: patient_sex binary positive='M'
-- made of: patient_sex
-- example: xray-mining cohort frontal_aged
with
-- step: files that are there, one of each exposure
present as (
    select image_key, patient_source, view_position, age_years, patient_sex
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, view_position, age_years, patient_sex
    from present
    where patient_source != 'none'
),

-- step: frontal, or of unknown view
not_lateral as (
    select image_key, age_years, patient_sex
    from identified
    where view_position is null or view_position in ('PA', 'AP')
),

-- step: with age, and sex female or male
aged as (
    select image_key, age_years, patient_sex
    from not_lateral
    where age_years is not null and patient_sex in ('F', 'M')
)

select image_key, age_years, patient_sex
from aged
