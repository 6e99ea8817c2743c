-- question: how many patients of each sex and five-year band of age the archive holds
-- one row: one band of one sex
-- example: xray-mining sql sql/reports/archive_pyramid.sql
select
    coalesce(patient_sex, 'unknown') as patient_sex,
    cast(floor(age_years / 5) * 5 as integer) as age_from,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by patient_sex, age_from nulls last
