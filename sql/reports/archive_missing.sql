-- question: how often each column that a study needs is missing
-- one row: one column
-- example: xray-mining sql sql/reports/archive_missing.sql
with
counted as (
    select
        count(*) as images,
        count(*) - count(age_years) as age_years,
        count(*) - count(patient_sex) as patient_sex,
        count(*) - count(view_position) as view_position,
        count(*) filter (where patient_source = 'none') as patient_id,
        count(*) - count(institution_key) as institution,
        count(*) - count(manufacturer) as manufacturer,
        count(*) - count(study_day) as study_day,
        count(*) - count(pixel_spacing_mm) as pixel_spacing_mm,
        count(*) - count(pixel_digest) as pixels
    from images
),

long as (
    unpivot counted
    on columns(* exclude (images))
    into name column_name value missing
)

select
    column_name,
    missing,
    images,
    missing / nullif(images, 0) as share
from long
order by missing desc, column_name
