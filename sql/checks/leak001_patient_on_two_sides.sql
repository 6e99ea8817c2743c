-- check: LEAK001 error cohort
-- question: a patient stands on two sides, so test results flatter the model
-- one row: one patient with the sides it stands on
-- example: xray-mining check age_balanced
select
    patient_key,
    count(distinct fold || split) as sides
from members
group by patient_key
having count(distinct fold || split) > 1
order by patient_key
