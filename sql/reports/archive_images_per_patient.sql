-- question: how many images a patient has
-- one row: one number of images; the last row includes all larger numbers
-- example: xray-mining sql sql/reports/archive_images_per_patient.sql
with
counted as (
    select
        patient_key,
        least(count(*), 20) as images
    from images
    where patient_source != 'none'
    group by patient_key
)

select
    images as images_up_to_20,
    count(*) as patients
from counted
group by images
order by images
