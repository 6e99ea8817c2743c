-- check: FIND001 note archive
-- question: a finding of a patient without a kept image
-- one row: one patient with the number of such findings
-- needs: findings
-- example: xray-mining check
select
    findings.patient_key,
    count(*) as findings
from findings
anti join images on findings.patient_key = images.patient_key
group by findings.patient_key
order by findings.patient_key
