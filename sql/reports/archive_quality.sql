-- question: how many images carry each quality flag
-- one row: one flag
-- example: xray-mining sql sql/reports/archive_quality.sql
select
    flags.flag,
    count(*) as images,
    count(distinct images.patient_key) as patients
from images
cross join unnest(images.quality_flags) as flags (flag)
group by flags.flag
order by images desc, flags.flag
