-- question: how much the archives hold in all
-- one row: everything
-- example: xray-mining sql sql/reports/archive_totals.sql
select
    count(*) as images,
    count(distinct study_key) as studies,
    count(distinct patient_key) filter (where patient_source != 'none') as patients,
    count(*) filter (where patient_source = 'none') as images_without_patient,
    count(distinct archive) as archives,
    count(distinct institution_key) as institutions,
    (select count(distinct image_key) from pixels) as images_with_picture,
    (select count(*) from vanished_files) as vanished_files
from images
