-- question: which sizes the stored pictures have
-- one row: one size
-- example: xray-mining sql sql/reports/archive_sizes.sql
select
    "rows",
    "columns",
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by images desc, "rows", "columns"
