-- question: how a chest changes within a patient over the years
-- one row: one frontal image of a patient with at least two, far enough apart
-- note: time is counted by the days of the studies, or by their offsets or by ages where a patient
-- has none
-- parameter: $least_days integer = 365  days between a patient's first and last image
-- parameter: $least_images integer = 2  images of a patient
-- target: age_years number years
-- made of: age_years
-- target: years_since_first number years
-- made of: study_day, day_offset, age_years
-- example: xray-mining cohort longitudinal --param least_days=730
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, view_position, age_years,
        age_topcoded, patient_sequence,
        if(
            count(study_day) over (partition by patient_key) = 0, day_offset, study_day
        ) as study_day
    from eligible
),

-- step: with a patient id
identified as (
    select * exclude (patient_source)
    from present
    where patient_source != 'none'
),

-- step: frontal view, with age, and with day of study where any of the patient has one
described as (
    select image_key, study_key, patient_key, age_years, study_day, patient_sequence
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years is not null
        and (study_day is not null or not age_topcoded)
    qualify
        study_day is not null
        or max(study_day) over (partition by patient_key) is null
),

-- step: first image of a study
one_of_study as (
    select image_key, patient_key, age_years, study_day, patient_sequence
    from described
    qualify row_number() over (partition by study_key order by patient_sequence, image_key) = 1
),

-- step: patients with enough images, far enough apart
followed as (
    with
    timed as (
        select
            image_key,
            patient_key,
            age_years,
            coalesce(
                study_day - first_value(study_day) over in_order,
                365.25 * (age_years - first_value(age_years) over in_order)
            ) as days
        from one_of_study
        window in_order as (
            partition by patient_key order by patient_sequence
        )
    )

    -- ages that fall while follow-up numbers rise tell of no time
    select
        image_key,
        age_years,
        days / 365.25 as years_since_first
    from timed
    window
        of_patient as (
            partition by patient_key
        )
    qualify
        count(*) over of_patient >= $least_images
        and max(days) over of_patient >= $least_days
        and min(days) over of_patient >= 0
)

select image_key, age_years, years_since_first
from followed
