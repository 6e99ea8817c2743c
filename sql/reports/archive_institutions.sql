-- question: how many images come from each institution
-- one row: one institution of one archive
-- example: xray-mining sql sql/reports/archive_institutions.sql
select
    archive,
    institution_key,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients,
    quantile_cont(age_years, 0.5) as median_age_years,
    avg(cast(patient_sex = 'M' as integer)) as share_of_males,
    least(
        count(distinct patient_key) filter (
            where patient_sex = 'M' and patient_source != 'none'
        ),
        count(distinct patient_key) filter (
            where patient_sex = 'F' and patient_source != 'none'
        )
    ) as rarer_sex
from images
group by archive, institution_key
order by images desc, archive, institution_key
