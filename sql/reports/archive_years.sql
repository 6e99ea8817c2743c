-- question: how many images each archive has from each year
-- one row: one year of one archive
-- example: xray-mining sql sql/reports/archive_years.sql
select
    archive,
    study_year,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by study_year nulls first, archive
