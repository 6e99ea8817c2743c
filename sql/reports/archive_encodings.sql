-- question: in which transfer syntaxes or file formats the pictures are stored
-- one row: one transfer syntax or file format
-- example: xray-mining sql sql/reports/archive_encodings.sql
select
    coalesce(transfer_syntax_uid, 'unknown') as transfer_syntax_uid,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by images desc, transfer_syntax_uid
