-- check: LEAK001 error cohort
-- question: a patient is in two splits, so test results are too good
-- one row: one patient with its folds and splits
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
