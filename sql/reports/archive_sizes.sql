-- question: which sizes, bit depths and photometric interpretations the stored pictures have
-- one row: one kind of picture
-- example: xray-mining sql sql/reports/archive_sizes.sql
select
    "rows",
    "columns",
    bits_stored,
    photometric_interpretation,
    transfer_syntax_uid,
    count(*) as images
from images
group by all
order by images desc, "rows", "columns", bits_stored, photometric_interpretation
