-- question: what is learned when every age stands at somebody else's picture (nothing may be)
-- one row: one patient's latest frontal image with another patient's age
-- target: age_years number years
-- example: xray-mining cohort permuted_age
with
-- step: latest frontal image of a patient
latest as (
    select image_key, patient_key, age_years
    from frontal
    where age_years is not null
    qualify row_number() over (partition by patient_key order by study_day desc, image_key) = 1
),

-- step: with the age of the next patient in an order by chance
moved as (
    select
        image_key,
        coalesce(
            lead(age_years) over (order by md5(patient_key::varchar)),
            first_value(age_years) over (order by md5(patient_key::varchar))
        ) as age_years
    from latest
)

select image_key, age_years from moved
