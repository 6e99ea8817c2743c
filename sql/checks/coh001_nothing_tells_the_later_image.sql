-- check: COH001 warning cohort
-- question: only the order of files shows which image of a patient is the later one
-- one row: one patient of the cohort with several images to choose from
-- example: xray-mining check age_balanced
select patient_key
from deciding_order
where decided_by = 'nothing'
order by patient_key
