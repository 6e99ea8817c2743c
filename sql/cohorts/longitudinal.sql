-- question: how a chest changes within a patient over the years
-- one row: one frontal image of a patient with at least two, far enough apart
-- parameter: $least_days integer = 365  days between a patient's first and last image
-- parameter: $least_images integer = 2  images of a patient
-- target: age_years number years
-- made of: age_years
-- target: years_since_first number years
-- made of: study_day
-- example: xray-mining cohort longitudinal --param least_days=730
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, view_position, age_years, study_day
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, study_key, patient_key, view_position, age_years, study_day
    from present
    where patient_source != 'none'
),

-- step: frontal view, with age and day of study
described as (
    select image_key, study_key, patient_key, age_years, study_day
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years is not null
        and study_day is not null
),

-- step: one image of a study
one_of_study as (
    select image_key, patient_key, age_years, study_day
    from described
    qualify row_number() over (partition by study_key order by image_key) = 1
),

-- step: patients with enough images, far enough apart
followed as (
    with
    spanned as (
        select
            image_key,
            age_years,
            study_day,
            count(*) over of_patient as images,
            min(study_day) over of_patient as first_day,
            max(study_day) over of_patient as last_day
        from one_of_study
        window of_patient as (
            partition by patient_key
        )
    )

    select
        image_key,
        age_years,
        (study_day - first_day) / 365.25 as years_since_first
    from spanned
    where images >= $least_images and last_day - first_day >= $least_days
)

select image_key, age_years, years_since_first
from followed
