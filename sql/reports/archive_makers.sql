-- question: which makers' machines made the images
-- one row: one maker's model
-- example: xray-mining sql sql/reports/archive_makers.sql
select
    coalesce(manufacturer, 'unknown') as manufacturer,
    coalesce(manufacturer_model_name, 'unknown') as manufacturer_model_name,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients,
    count(distinct institution_key) as institutions
from images
group by all
order by images desc, manufacturer, manufacturer_model_name
