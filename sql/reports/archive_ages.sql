-- question: where ages came from, and how many were impossible or set to 90
-- one row: one source of ages
-- example: xray-mining sql sql/reports/archive_ages.sql
select
    age_source,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients,
    count(*) filter (where list_contains(quality_flags, 'impossible_age')) as impossible,
    count(*) filter (where age_topcoded) as topcoded,
    count(distinct patient_key) filter (
        where age_topcoded and patient_source != 'none'
    ) as topcoded_patients,
    quantile_cont(age_years, 0.05) as lower_age,
    quantile_cont(age_years, 0.5) as median_age,
    quantile_cont(age_years, 0.95) as upper_age
from images
group by age_source
order by images desc, age_source
