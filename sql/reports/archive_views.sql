-- question: which views the images have, and whether they were declared or inferred
-- one row: one view from one source
-- example: xray-mining sql sql/reports/archive_views.sql
select
    coalesce(view_position, 'unknown') as view_position,
    view_source,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by images desc, view_position, view_source
