-- question: where ages came from, and how many were impossible or set to 90
-- one row: one source of ages
-- example: xray-mining sql sql/reports/archive_ages.sql
select
    age_source,
    count(*) as images,
    count(*) filter (
        where age_raw is not null or list_contains(quality_flags, 'impossible_age')
    ) as impossible,
    count(*) filter (where age_topcoded) as topcoded,
    min(age_years) as youngest,
    quantile_cont(age_years, 0.5) as median,
    max(age_years) as oldest
from images
group by age_source
order by images desc, age_source
