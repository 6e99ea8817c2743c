-- question: how many bits a stored value has, and whether its lowest value is black or white
-- one row: one number of bits with one photometric interpretation
-- example: xray-mining sql sql/reports/archive_bits.sql
select
    bits_stored,
    coalesce(photometric_interpretation, 'unknown') as photometric_interpretation,
    count(*) as images,
    count(distinct patient_key) filter (where patient_source != 'none') as patients
from images
group by all
order by images desc, bits_stored, photometric_interpretation
