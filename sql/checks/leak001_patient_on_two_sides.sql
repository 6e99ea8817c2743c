-- check: LEAK001 error cohort
-- question: a patient stands on two sides, so test results flatter the model
-- one row: one patient with the sides it stands on
-- example: xray-mining check age_balanced
select
    patient_key,
    min(fold) as lowest_fold,
    max(fold) as highest_fold,
    min(split) as one_split,
    max(split) as other_split
from members
group by patient_key
having min(fold) != max(fold) or min(split) != max(split)
order by patient_key
