-- check: KEY001 error archive
-- question: a study belongs to two patients, so folds by patient would split it
-- one row: one study with the number of its patients
-- example: xray-mining check
select
    study_key,
    count(distinct patient_key) as patients
from images
where patient_source != 'none'
group by study_key
having count(distinct patient_key) > 1
order by study_key
